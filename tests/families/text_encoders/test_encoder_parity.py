"""Our encoder against transformers' BERT: with copied random weights, and with the weights of a published one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.contracts import RunContext
from bench.data.card_reader import load_card
from bench.data.fetching import fetch_card
from bench.families.text_encoders.masked_lm import MaskedLM, MaskedLMConfig
from bench.families.text_encoders.wordpiece import WordPiece
from bench.nn.encoder import EncoderShape, MaskedNetwork, from_bert, read_bert

ROOT = Path(__file__).parents[3]
LINES = [
    "the cat sat on the mat, and the cats sat on the mats",
    "A Hat! that hatter's hat: naïve; the rat ate the mat",
] * 6
TEXTS = ["A man is playing a guitar.", "Paris, the capital of France, lies on the Seine!", "naïve ☃", ""]
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40}


@pytest.fixture(scope="module")
def theirs() -> BertForMaskedLM:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=56, max_position_embeddings=20, attn_implementation="eager", **SIZES)
    model = BertForMaskedLM(config).eval()
    for name, parameter in model.named_parameters():  # also the gains and biases, which start at one and zero
        torch.nn.init.normal_(parameter, mean=float(name.endswith("LayerNorm.weight")), std=0.3)
    model.tie_weights()
    return model


@pytest.fixture(scope="module")
def published(theirs: BertForMaskedLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny "pretrained" BERT."""
    folder = tmp_path_factory.mktemp("bert")
    theirs.config.save_pretrained(folder)
    kept = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items() if "decoder" not in name}
    save_file(kept, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(WordPiece.train(LINES, 56).to_text(), encoding="utf-8")
    return folder


def ours_of(model: BertForMaskedLM, **changes: object) -> MaskedNetwork:
    shape = EncoderShape(vocabulary=56, width=24, layers=3, heads=4, hidden=40, context=20, **changes)  # type: ignore[arg-type]
    network = MaskedNetwork(shape).eval()
    network.load_state_dict(from_bert(model.state_dict()), strict=True)
    return network


def padded(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens = torch.randint(0, 56, (4, 17), generator=torch.Generator().manual_seed(seed))
    lengths = torch.tensor([17, 9, 2, 13])
    real = torch.arange(17)[None] < lengths[:, None]
    types = (torch.arange(17)[None] > lengths[:, None] // 2).long()
    return tokens, real, types


@pytest.mark.parametrize("form", ["explicit", "sdpa"])
def test_every_hidden_state_equals_transformers(theirs: BertForMaskedLM, form: str) -> None:
    network = ours_of(theirs, attention=form)
    tokens, real, types = padded()
    with torch.no_grad():
        expected = theirs.bert(
            tokens, attention_mask=real.long(), token_type_ids=types, output_hidden_states=True
        ).hidden_states
        found = network.encoder.hidden_states(tokens, real[:, None], types)
    assert len(found) == len(expected) == 4
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a[real], b[real], atol=1e-5, rtol=1e-5)


def test_masked_lm_logits_and_gradients_equal_transformers(theirs: BertForMaskedLM) -> None:
    network = ours_of(theirs)
    tokens, real, _ = padded(2)
    tokens, real = tokens[:1], real[:1]
    positions = torch.tensor([[1, 5, 8]])
    found = network(tokens, positions)
    expected = theirs(tokens, attention_mask=real.long()).logits.gather(1, positions[..., None].expand(-1, -1, 56))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found.square().sum().backward()
    expected.square().sum().backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    ours = {name: p.grad for name, p in network.named_parameters()}
    for name, gradient in from_bert(gradients).items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-3, rtol=1e-3)
    theirs.zero_grad()


def test_causal_equals_transformers_decoder(theirs: BertForMaskedLM) -> None:
    network = ours_of(theirs, causal=True)
    decoder = BertModel(
        BertConfig(vocab_size=56, max_position_embeddings=20, is_decoder=True, **SIZES), add_pooling_layer=False
    ).eval()
    decoder.load_state_dict(theirs.bert.state_dict())
    tokens, _, _ = padded(3)
    with torch.no_grad():
        expected = decoder(tokens, use_cache=False).last_hidden_state
        torch.testing.assert_close(network.encoder(tokens), expected, atol=1e-5, rtol=1e-5)
        assert (network.encoder(tokens) - ours_of(theirs).encoder(tokens)).abs().max() > 0.1


def test_names_of_the_first_release_and_without_prefix(theirs: BertForMaskedLM) -> None:
    plain = from_bert(theirs.state_dict())
    old = {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in theirs.state_dict().items()
    }
    bare = {k.removeprefix("bert."): v for k, v in theirs.state_dict().items()}
    for other in (from_bert(old), from_bert(bare)):
        assert other.keys() == plain.keys() and all(torch.equal(other[k], plain[k]) for k in plain)


def test_splits_like_transformers(published: Path, tmp_path: Path) -> None:
    pieces = WordPiece.read(published)
    (tmp_path / "vocab.txt").write_text("\n".join(pieces.token(i) for i in range(len(pieces))) + "\n", encoding="utf-8")
    theirs = BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"), do_lower_case=True)
    for text in (*LINES, "Matted cats, that's NAÏVE: x9 ☃!"):
        assert pieces.encode([text])[0].tolist() == theirs(text, add_special_tokens=False)["input_ids"]


def test_a_pretrained_folder_is_a_start(published: Path, theirs: BertForMaskedLM, tmp_path: Path) -> None:
    """Shape and vocabulary come from the folder; training goes on from its weights, or leaves them."""
    system = MaskedLM(MaskedLMConfig(pretrained=str(published), pretrain=False))
    system.fit({"train": "any text"}, RunContext(seed=1))
    assert system.shape == EncoderShape(56, 24, 3, 4, 40, 20)
    ids = system.encode(["the cat sat"])[0]
    with torch.no_grad():
        expected = theirs.bert(torch.from_numpy(ids)[None]).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(system.embed_texts(["the cat sat"])[0], expected.numpy(), atol=1e-5)
    system.save(tmp_path)
    np.testing.assert_array_equal(
        MaskedLM.load(tmp_path, system.config).embed_texts(["the cat sat"]), system.embed_texts(["the cat sat"])
    )
    further = MaskedLM(dataclasses.replace(system.config, pretrain=True))
    further.fit(
        {"train": "\n".join(LINES)}, RunContext(seed=1, train={"steps": 2, "batch_size": 2, "lr": 1e-4, "warmup": 1})
    )
    moved = (further.network.encoder.words.weight - system.network.encoder.words.weight).detach().abs().max()
    assert 0 < float(moved) < 1e-3


def test_what_cannot_be_loaded_is_named(published: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"config\.json is not there"):
        read_bert(tmp_path)
    facts = BertConfig.from_pretrained(published).to_dict()
    (tmp_path / "model.safetensors").write_bytes((published / "model.safetensors").read_bytes())
    for change, message in (
        ({"hidden_act": "relu"}, "hidden_act is 'relu': only 'gelu'"),
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"num_hidden_layers": 4}, "lacks"),
        ({"intermediate_size": 41}, "does not fit"),
    ):
        write_json(tmp_path / "config.json", {**facts, **change})
        with pytest.raises(BenchError, match=message):
            read_bert(tmp_path)


def test_the_weights_of_a_published_bert_give_its_hidden_states(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2, 22.7 million weights: fetched like every data set, and kept in ``downloads``."""
    folder = tmp_path / "minilm"
    fetch_card(load_card(ROOT / "datasets/minilm.yaml"), folder, ROOT / "downloads", ROOT, quiet=True)
    reference = BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    system = MaskedLM(MaskedLMConfig(pretrained=str(folder), pretrain=False))
    system.fit({"train": "any text"}, RunContext())
    assert sum(p.numel() for p in system.network.encoder.parameters()) == 22_565_376
    tokens = torch.from_numpy(system.pad(system.encode(TEXTS)))
    real = tokens != system.wordpiece.pad
    with torch.no_grad():
        expected = reference(tokens, attention_mask=real.long(), output_hidden_states=True).hidden_states
        found = system.network.encoder.hidden_states(tokens, real[:, None])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a[real], b[real], atol=1e-4, rtol=0)
    vectors = system.embed_texts(
        ["a man plays the guitar", "someone makes music on strings", "the stock market fell today"]
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.4 > 0.2 > unit[0] @ unit[2]
