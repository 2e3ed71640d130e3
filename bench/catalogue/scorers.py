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
    "image_figures": "bench.scorers.figures.images:image_figures",
    "likelihood": "bench.scorers.likelihood:likelihood",
    "letter_entropy": "bench.scorers.letter_entropy:letter_entropy",
    "verbatim_copying": "bench.scorers.verbatim_copying:verbatim_copying",
    "scaling": "bench.scorers.scaling:scaling",
    "next_state": "bench.scorers.states:next_state",
    "long_run": "bench.scorers.states:long_run",
    "word_similarity": "bench.scorers.word_tests:word_similarity",
    "word_analogies": "bench.scorers.word_tests:word_analogies",
    "pmi_agreement": "bench.scorers.pmi_agreement:pmi_agreement",
    "masked_tokens": "bench.scorers.masked_tokens:masked_tokens",
    "pseudo_perplexity": "bench.scorers.masked_tokens:pseudo_perplexity",
    "label_efficiency": "bench.scorers.label_efficiency:label_efficiency",
    "text_classification": "bench.scorers.text_classification:text_classification",
    "language_figures": "bench.scorers.figures.language:language_figures",
    "splices": "bench.scorers.figures.splices:splices",
    "state_tables": "bench.scorers.states:state_tables",
    "word_vector_figures": "bench.scorers.figures.word_vectors:word_vector_figures",
    "cloze": "bench.scorers.masked_tokens:cloze",
}
"""``name of a scorer -> "module:function"``."""
