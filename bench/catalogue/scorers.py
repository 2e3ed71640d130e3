"""The table of scorers: add a line to add one.

A plug-in adds scorers through the entry point group ``words_and_pixels.scorers`` (name = scorer, value =
module:function).
"""

from __future__ import annotations

BUILT_IN: dict[str, str] = {
    "distribution": "bench.scorers.distribution:distribution",
    "memorisation": "bench.scorers.memorisation:memorisation",
    "class_agreement": "bench.scorers.class_agreement:class_agreement",
    "degradation_ladder": "bench.scorers.degradation_ladder:degradation_ladder",
    "feature_ladder": "bench.scorers.degradation_ladder:feature_ladder",
    "classification": "bench.scorers.classification:classification",
    "detection": "bench.scorers.detection:detection",
    "zero_shot": "bench.scorers.zero_shot:zero_shot",
    "retrieval": "bench.scorers.zero_shot:retrieval",
    "reconstruction": "bench.scorers.reconstruction:reconstruction",
    "content_kept": "bench.scorers.reconstruction:content_kept",
    "prompt_fidelity": "bench.scorers.prompt_fidelity:prompt_fidelity",
    "negative_prompts": "bench.scorers.prompt_fidelity:negative_prompts",
    "clip_score": "bench.scorers.clip_score:clip_score",
    "scene_distribution": "bench.scorers.scene_distances:scene_distribution",
    "scene_memorisation": "bench.scorers.scene_distances:scene_memorisation",
    "step_compute": "bench.scorers.step_compute:step_compute",
    "codec_figures": "bench.scorers.figures.codecs:codec_figures",
    "scene_figures": "bench.scorers.figures.scenes:scene_figures",
    "image_figures": "bench.scorers.figures.images:image_figures",
    "texture_structure": "bench.scorers.texture_structure:texture_structure",
    "hole_filling": "bench.scorers.hole_filling:hole_filling",
    "texture_figures": "bench.scorers.figures.textures:texture_figures",
    "analogy_answers": "bench.scorers.analogies.answers:analogy_answers",
    "analogy_figures": "bench.scorers.figures.analogies:analogy_figures",
    "video_plays": "bench.scorers.video.plays:video_plays",
    "video_seams": "bench.scorers.video.plays:video_seams",
    "video_loops": "bench.scorers.video.transitions:video_loops",
    "video_control": "bench.scorers.video.transitions:video_control",
    "video_regions": "bench.scorers.video.transitions:video_regions",
    "video_sprites": "bench.scorers.video.transitions:video_sprites",
    "video_convergence": "bench.scorers.video.transitions:video_convergence",
    "video_figures": "bench.scorers.figures.videos:video_figures",
    "style_losses": "bench.scorers.style_losses:style_losses",
    "style_figures": "bench.scorers.figures.styles:style_figures",
}
"""``name of a scorer -> "module:function"``."""
