"""The table of systems: add a line to add one.

Apart from :mod:`bench.registry` so that a new line makes no trained model stale: a plan records the one target it uses.
"""

from __future__ import annotations

BUILT_IN: dict[str, str] = {
    "markov_chain": "bench.words.markov_chain:MarkovChain",
    "ngram": "bench.words.ngram:NGram",
    "neural_lm": "bench.words.neural_lm:NeuralLM",
    "model_series": "bench.words.model_series:ModelSeries",
    "word2vec": "bench.words.word2vec:Word2Vec",
    "masked_lm": "bench.words.masked_lm:MaskedLM",
    "transformer_lm": "bench.words.transformer_lm:TransformerLM",
    "dummy_words": "bench.words.dummy_words:DummyWords",
    "memoriser_words": "bench.words.memoriser_words:MemoriserWords",
    "texture_synthesis": "bench.by_example.texture_synthesis:TextureSynthesis",
    "biharmonic_texture": "bench.by_example.biharmonic_texture:BiharmonicTexture",
    "dummy_texture": "bench.by_example.dummy_texture:DummyTexture",
    "memoriser_texture": "bench.by_example.memoriser_texture:MemoriserTexture",
    "real_texture": "bench.by_example.real_texture:RealTexture",
    "style_transfer": "bench.by_example.style_transfer:StyleTransfer",
    "dummy_style": "bench.by_example.dummy_style:DummyStyle",
    "image_analogies": "bench.by_example.image_analogies:ImageAnalogies",
    "video_textures": "bench.by_example.video_textures:VideoTextures",
    "resnet": "bench.encoders.resnet:ResNet",
    "scene_detector": "bench.encoders.scene_detector:SceneDetector",
    "clip": "bench.encoders.clip:CLIP",
    "dummy_encoder": "bench.encoders.dummy_encoder:DummyEncoder",
    "vqvae": "bench.codecs.vqvae:VQVAE",
    "kl_vae": "bench.codecs.kl_vae:KLVAE",
    "dummy_codec": "bench.codecs.dummy_codec:DummyCodec",
    "ddpm": "bench.images.ddpm:DDPM",
    "dummy_images": "bench.images.dummy_images:DummyImages",
    "memoriser_images": "bench.images.memoriser_images:MemoriserImages",
    "real_images": "bench.images.real_images:RealImages",
    "latent_diffusion": "bench.text_to_image.latent_diffusion:LatentDiffusion",
    "dummy_scenes": "bench.text_to_image.dummy_scenes:DummyScenes",
    "memoriser_scenes": "bench.text_to_image.memoriser_scenes:MemoriserScenes",
    "real_scenes": "bench.text_to_image.real_scenes:RealScenes",
}
"""``name in params.yaml -> "module:Class"``."""
