"""The table of systems: add a line to add one.

Apart from :mod:`bench.registry` so that a new line makes no trained model stale: a plan records the one target it uses.
"""

from __future__ import annotations

BUILT_IN: dict[str, str] = {
    "markov_chain": "bench.families.words.markov_chain:MarkovChain",
    "ngram": "bench.families.words.ngram:NGram",
    "neural_lm": "bench.families.words.neural_lm:NeuralLM",
    "word2vec": "bench.families.text_encoders.word2vec:Word2Vec",
    "masked_lm": "bench.families.text_encoders.masked_lm:MaskedLM",
    "transformer_lm": "bench.families.words.transformer_lm:TransformerLM",
    "dummy_words": "bench.families.words.dummy_words:DummyWords",
    "memoriser_words": "bench.families.words.memoriser_words:MemoriserWords",
    "texture_synthesis": "bench.families.by_example.textures.texture_synthesis:TextureSynthesis",
    "biharmonic_texture": "bench.families.by_example.textures.biharmonic_texture:BiharmonicTexture",
    "dummy_texture": "bench.families.by_example.textures.dummy_texture:DummyTexture",
    "memoriser_texture": "bench.families.by_example.textures.memoriser_texture:MemoriserTexture",
    "real_texture": "bench.families.by_example.textures.real_texture:RealTexture",
    "style_transfer": "bench.families.style_transfer.style_transfer:StyleTransfer",
    "dummy_style": "bench.families.style_transfer.dummy_style:DummyStyle",
    "image_analogies": "bench.families.by_example.analogies.image_analogies:ImageAnalogies",
    "video_textures": "bench.families.by_example.video.video_textures:VideoTextures",
    "external_samples": "bench.families.external_samples:ExternalSamples",
    "inception": "bench.families.encoders.inception:Inception",
    "resnet": "bench.families.encoders.resnet:ResNet",
    "scene_detector": "bench.families.encoders.scene_detector:SceneDetector",
    "clip": "bench.families.encoders.clip:CLIP",
    "dummy_encoder": "bench.families.encoders.dummy_encoder:DummyEncoder",
    "vqvae": "bench.families.codecs.vqvae:VQVAE",
    "kl_vae": "bench.families.codecs.kl_vae:KLVAE",
    "dummy_codec": "bench.families.codecs.dummy_codec:DummyCodec",
    "ddpm": "bench.families.images.ddpm:DDPM",
    "dummy_images": "bench.families.images.dummy_images:DummyImages",
    "memoriser_images": "bench.families.images.memoriser_images:MemoriserImages",
    "real_images": "bench.families.images.real_images:RealImages",
    "latent_diffusion": "bench.families.text_to_image.latent_diffusion:LatentDiffusion",
    "dummy_scenes": "bench.families.text_to_image.dummy_scenes:DummyScenes",
    "memoriser_scenes": "bench.families.text_to_image.memoriser_scenes:MemoriserScenes",
    "real_scenes": "bench.families.text_to_image.real_scenes:RealScenes",
}
"""``name in params.yaml -> "module:Class"``."""
