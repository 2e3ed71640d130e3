"""Every metric of the leaderboard: its direction, unit and meaning. Import-light: the report and the command line read
it without torch.

A plug-in adds metrics through the entry point group ``words_and_pixels.metrics`` (name = metric, value =
module:MetricInfo); the module should import little more than this one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.base.errors import BenchError, did_you_mean
from bench.catalogue.plugins import plugins, with_plugins

__all__ = ["CATALOGUE", "MetricInfo", "metric_info"]


@dataclass(frozen=True)
class MetricInfo:
    """What the report needs to show a column.

    Attributes:
        name: canonical snake-case name.
        title: for people.
        higher_is_better: None for a number without direction.
        unit: ``""``, ``"dB"``, ``"s"``, ``"bytes"``, ``"FLOP"``, ``"bits/byte"``.
        meaning: one line.
        cost: True for what a result costs rather than how good it is.
        share: True for a proportion in [0, 1], which the report may show in percent.
        exact: True for what is counted rather than measured on a sample: it needs no interval. Any other number without
            an interval is of unknown precision and gets no rank.
    """

    name: str
    title: str
    higher_is_better: bool | None
    unit: str
    meaning: str
    cost: bool = False
    share: bool = False
    exact: bool = False

    @property
    def arrow(self) -> str:
        """``"↑"``, ``"↓"`` or ``""``."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


def _quality(name: str, title: str, higher: bool | None, meaning: str, unit: str = "") -> MetricInfo:
    return MetricInfo(name, title, higher, unit, meaning)


def _share(name: str, title: str, meaning: str, higher: bool | None = True) -> MetricInfo:
    return MetricInfo(name, title, higher, "", meaning, share=True)


def _cost(name: str, title: str, unit: str, meaning: str, higher: bool | None = False) -> MetricInfo:
    return MetricInfo(name, title, higher, unit, meaning, cost=True, exact=unit == "FLOP" or name == "parameters")


def _count(name: str, title: str, meaning: str, *, higher: bool = False, share: bool = False) -> MetricInfo:
    return MetricInfo(name, title, higher, "", meaning, share=share, exact=True)


_ENTRIES = (
    # words
    _quality(
        "bits_per_byte",
        "Bits per byte",
        False,
        "Bits to encode one byte of held-out text, every byte counted",
        "bits/byte",
    ),
    _quality(
        "perplexity", "Perplexity per token", False, "Effective number of choices per token, within one vocabulary"
    ),
    _share(
        "verbatim_copy_rate",
        "Verbatim copying",
        "Share of character windows of the samples that occur in the training text",
        False,
    ),
    _quality(
        "nats_per_state",
        "Nats per state",
        False,
        "Minus the logarithm of the next state's probability, held out",
        "nats/state",
    ),
    _quality(
        "stationary_distance",
        "Stationary distance",
        False,
        "Total variation between stationary distribution and long-run shares",
    ),
    _quality(
        "letter_entropy",
        "Letter entropy",
        None,
        "Shannon's F_n: bits of a letter given the n - 1 letters before it",
        "bits/letter",
    ),
    _quality(
        "scaling_exponent",
        "Scaling exponent",
        None,
        "How held-out loss falls with parameters and with tokens: log L = a - alpha log N",
    ),
    # word vectors
    _quality(
        "wordsim_spearman",
        "WordSim-353",
        True,
        "Spearman correlation of cosines with human ratings of relatedness",
    ),
    _quality("simlex_spearman", "SimLex-999", True, "Spearman correlation of cosines with human ratings of similarity"),
    _share(
        "analogy_accuracy",
        "Analogies",
        "Share of analogies (a is to b as c is to d) whose d is the nearest vector to b - a + c",
    ),
    _count(
        "word_coverage",
        "Words known",
        "Share of a test's items whose words are all in the vocabulary",
        higher=True,
        share=True,
    ),
    _quality(
        "pmi_spearman",
        "Shifted PMI",
        True,
        "Spearman correlation of v.c with PMI - log k over frequently co-occurring pairs of words",
    ),
    # text encoders
    _share(
        "masked_accuracy",
        "Masked-token accuracy",
        "Share of masked tokens of held-out text that the most probable prediction restores",
    ),
    _quality("pseudo_perplexity", "Pseudo-perplexity", False, "exp(-mean log-probability of a token given all others)"),
    _share("macro_f1", "Macro-F1", "F1 of each class, averaged over all classes with equal weight"),
    _quality(
        "macro_f1_gain", "Gain in macro-F1", True, "Macro-F1 after pre-training minus that from scratch, same labels"
    ),
    # distributions of images
    _quality("fid", "FID", False, "Frechet distance of features to the test set, at a stated N and feature network"),
    _quality("fid_ratio", "FID ÷ real-vs-real FID", False, "FID divided by the real-versus-real FID at the same N"),
    _quality("kid", "KID", False, "Unbiased kernel distance of features to the test set"),
    _share("precision", "Precision", "Share of samples inside the manifold of real images"),
    _share("recall", "Recall", "Share of real images inside the manifold of samples"),
    _quality(
        "density",
        "Density",
        True,
        "Mean number of real neighbourhoods that contain a sample, over k; about 1 for real data",
    ),
    _share("coverage", "Coverage", "Share of real images with a sample among their neighbours"),
    _quality(
        "nearest_train_ratio",
        "Nearest training neighbour",
        None,
        "Distance to training data over that of held-out data: about 1 for new samples, 0 for copies",
    ),
    _quality(
        "copying_z",
        "Data copying z",
        None,
        "Distances to training data ranked among those of unseen data: standard normal if new, far below 0 if copied",
    ),
    _share(
        "near_copy_share",
        "Near copies",
        "Share of samples closer to the training set than 99 % of unseen data of the same kind: 1 % if new",
        False,
    ),
    _share("class_accuracy", "Class accuracy", "Share of samples that the classifier assigns to the requested class"),
    # text to image
    _quality(
        "clip_score",
        "CLIP score",
        True,
        "100 x cosine of image and caption, by a CLIP that was not used in generation",
    ),
    _share("digit_accuracy", "Digits correct", "Share of images with all requested digits, colours ignored"),
    _share("colour_accuracy", "Colours correct", "Share of images with all requested colours, digits ignored"),
    _share(
        "both_accuracy",
        "Digit and colour correct",
        "Share of images where every requested object has its digit and its colour",
    ),
    _share("count_accuracy", "Count correct", "Share of images with the requested number of objects"),
    _share(
        "relation_accuracy", "Relation correct", "Share of images with both objects correct and placed as requested"
    ),
    _share("all_accuracy", "All correct", "Share of images with count, objects and relation as requested"),
    _share(
        "attribute_rate", "Attribute present", "Share of images that show a named attribute (negative prompts)", None
    ),
    # encoders
    _share("accuracy", "Accuracy", "Share of held-out items classified correctly"),
    _share(
        "zero_shot_accuracy", "Zero-shot accuracy", "Share of images classified correctly from class descriptions alone"
    ),
    _share(
        "zero_shot_mean_per_class", "Zero-shot, mean per class", "Mean over classes of the share classified correctly"
    ),
    _share("retrieval_at_1", "Retrieval at 1", "Share of queries whose nearest target is the correct one"),
    _share("agreement", "Agreement", "How far two scoring models rank or decide alike"),
    # codecs
    _quality("psnr", "PSNR", True, "Peak signal-to-noise ratio of reconstructions, mean over images", "dB"),
    _quality("ssim", "SSIM", True, "Structural similarity of reconstructions; 1 is exact"),
    _share("codebook_usage", "Codebook used", "Share of codes used at least once on the evaluation set"),
    _quality(
        "codebook_perplexity", "Codebook perplexity", True, "Effective number of codes, exp of the entropy of their use"
    ),
    _quality("codebook_dead", "Dead codes", False, "Codes never used on the evaluation set"),
    # textures
    _quality(
        "texture_distance",
        "Texture distance",
        False,
        "Distance of patches to those of an unseen real piece, over that of two real pieces; 1 for real texture",
    ),
    _quality(
        "structure_error",
        "Structure error",
        False,
        "Mean squared distance of output patches to the nearest exemplar patch; blur and flat colour lower it too",
    ),
    _share(
        "copied_share",
        "Copied pixels",
        "Share of output pixels inside large patches copied verbatim from the exemplar",
        False,
    ),
    _share(
        "near_copied_share",
        "Nearly copied pixels",
        "Share of output pixels inside large patches of the exemplar, up to contrast, brightness and a little noise",
        False,
    ),
    _quality(
        "histogram_distance",
        "Histogram distance",
        False,
        "Earth mover's distance of output and exemplar values, in a 0-1 range",
    ),
    _quality(
        "seam_error",
        "Seam error",
        False,
        "Mean squared distance of patches across a filled hole's border to the nearest real patch",
    ),
    _quality(
        "seam_gain", "Seam error, gain", True, "Seam error of raster order minus that of onion order, hole by hole"
    ),
    _quality(
        "copied_run",
        "Copied run",
        None,
        "Length of the run of contiguous exemplar pixels that a pixel belongs to, mean over pixels",
        "px",
    ),
    # video textures
    _quality(
        "jump_cost",
        "Jump cost",
        False,
        "Mean cost of the jumps of a play, in units of the clip's mean distance between two frames",
    ),
    _quality(
        "jumps_per_second",
        "Jumps per second",
        None,
        "Times per second that the next frame shown is not the next frame of the clip",
        "1/s",
    ),
    _quality(
        "seam_ratio",
        "Seam visibility",
        False,
        "Change of the image at a jump, over the clip's median change from frame to frame",
    ),
    _quality(
        "motion_agreement",
        "Motion continuity",
        True,
        "Cosine between the expected change of the image at a jump and the change shown; 1 for the clip",
    ),
    _share("dynamics_reversals", "Reversals", "Share of the jumps after which a known motion reverses", False),
    _quality(
        "periodicity_error",
        "Phase error",
        False,
        "Share of a period by which a jump misses the next phase of a known motion",
    ),
    _quality(
        "transition_variety",
        "Distinct jumps",
        None,
        "Effective number of different jumps in a play, exp of the entropy of their use",
    ),
    _share(
        "single_loop_share",
        "Stuck-in-a-loop rate",
        "Share of the plays that end in one loop, repeated without end",
        None,
    ),
    _share("dead_end_probability", "Dead-end rate", "Share of the plays that reach a frame without a successor", False),
    _quality(
        "loop_cost",
        "Loop cost",
        False,
        "Sum of the jump costs of one round of a loop, in units of the mean distance between two frames",
    ),
    _quality(
        "value_iteration_rate",
        "Convergence rate",
        None,
        "Factor by which one sweep of value iteration reduces the largest change, over alpha",
    ),
    _share("in_range_share", "Frames in range", "Share of the shown frames inside the requested range of frames"),
    _quality(
        "heading_error",
        "Heading error",
        False,
        "Angle between a sprite's motion and the direction to its target",
        "deg",
    ),
    _quality("target_distance", "Distance to target", False, "Distance of a sprite from its moving target", "px"),
    # style transfer
    _share(
        "style_loss",
        "Style loss",
        "Distance to the style's Gram matrices, as a share of that of the unchanged content image",
        False,
    ),
    _share(
        "content_loss",
        "Content loss",
        "Distance to the content's activations, as a share of that of the style image",
        None,
    ),
    _quality("colour_shift", "Colour shift", None, "Mean absolute difference of chrominance to the content image"),
    # cost
    _cost("train_seconds", "Training time", "s", "Wall time of training on this machine"),
    _cost("train_flops", "Training compute", "FLOP", "Floating point operations of training"),
    _cost("sample_seconds_per_item", "Sampling time", "s", "Wall time for one sample"),
    _cost("sample_flops_per_item", "Sampling compute", "FLOP", "Floating point operations for one sample"),
    _cost(
        "step_seconds_per_item",
        "Denoising step",
        "s",
        "Wall time of one denoising step for one image, decoder included",
    ),
    _cost(
        "step_flops_per_item",
        "Denoising step, compute",
        "FLOP",
        "Operations of one denoising step for one image, decoder included",
    ),
    _cost("seconds_per_pixel", "Time per pixel", "s", "Wall time of one synthesised pixel"),
    _cost(
        "growth_exponent",
        "Cost growth exponent",
        "",
        "Slope of log time along log pixels of output, sample or window; 1 is proportional",
        higher=None,
    ),
    _cost(
        "latent_speedup",
        "Latent speed-up",
        "",
        "Time of a denoising step in pixels over that in latents, same network",
        higher=True,
    ),
    _cost("peak_memory_bytes", "Peak memory", "bytes", "Largest resident memory while training"),
    _cost("parameters", "Parameters", "", "Number of trained values"),
)


class _Catalogue(Mapping[str, MetricInfo]):
    """The metrics of this package, and those of plug-ins, which are imported when they are asked for."""

    def __init__(self) -> None:
        self._known = {entry.name: entry for entry in _ENTRIES}
        self._own = dict.fromkeys(self._known, __name__)

    def __getitem__(self, name: str) -> MetricInfo:
        if name not in self._known:
            target = plugins("metrics")[name]
            module, _, attribute = target.partition(":")
            found = getattr(importlib.import_module(module), attribute)
            if not isinstance(found, MetricInfo) or found.name != name:
                raise BenchError(f"metric {name!r}: {target} is no MetricInfo of this name")
            self._known[name] = found
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(with_plugins("metrics", self._own))

    def __len__(self) -> int:
        return len(with_plugins("metrics", self._own))


CATALOGUE: Mapping[str, MetricInfo] = _Catalogue()
"""All metrics by canonical name, in the order in which a report shows them; those of plug-ins come last."""


def metric_info(name: str) -> MetricInfo:
    """The entry of a metric.

    >>> metric_info("fid").arrow, metric_info("psnr").unit
    ('↓', 'dB')

    Raises:
        BenchError: an unknown name, with the nearest known one.
    """
    if name not in CATALOGUE:
        raise BenchError(
            f"unknown metric {name!r}.{did_you_mean(name, CATALOGUE)} Metrics are declared in "
            "bench/catalogue/metrics.py, or by a plug-in."
        )
    return CATALOGUE[name]
