"""Tokens are counted as their base model makes them, whether it is still there or not."""

import shutil

import pytest
from tokenizers import Tokenizer

from searchkit.errors import SearchkitError
from searchkit.index.store import Store
from searchkit.search.live import counting

TEXT = "Die Fähre fährt bei Sturm nicht: ∑ ≥ 7 Bft. 渡し船 🚢."


def test_tokens_begin_where_the_tokenizer_says(tiny_model):
    starts = counting.of_base(str(tiny_model("llama"))).starts()(TEXT)
    tokenizer = Tokenizer.from_file(str(tiny_model("llama") / "tokenizer.json"))
    encoded = tokenizer.encode(TEXT, add_special_tokens=False)
    assert len(starts) == len(encoded.ids)
    assert starts[0] == 0 and list(starts) == sorted(starts) and starts[-1] < len(TEXT)
    # A byte-level tokenizer makes several tokens of one character; they begin where it does.
    assert starts.count(TEXT.index("🚢")) >= 2


def test_words_are_counted_where_there_is_no_base(home):
    counter = counting.default([])
    assert counter is counting.WORDS
    starts = counter.starts()(TEXT)
    found = [TEXT[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert [one.strip() for one in found] == [
        "Die", "Fähre", "fährt", "bei", "Sturm", "nicht", ":", "∑", "≥", "7", "Bft", ".",
        "渡", "し", "船", "🚢", ".",
    ]  # fmt: skip
    assert list(counter.starts()("incomprehensible")) == [0, 7, 14]


def test_an_index_keeps_the_tokenizer_it_began_with(tmp_path, tiny_model):
    base = tmp_path / "base"
    shutil.copytree(tiny_model("llama"), base)
    counter = counting.of_base(str(base))
    store = Store.create_or_open(tmp_path / "index")
    with store.writing() as draft:
        draft.corpus = {"kind": "folder"}
        counting.keep(counter, draft)
    shutil.rmtree(base)
    kept = counting.kept(store, str(base), counter.fingerprint)
    again = counting.of_base(str(tiny_model("llama"))).starts()
    assert kept.starts()(TEXT) == again(TEXT)
    next((store.path / "parts").rglob("tokenizer.json")).write_text("{}")
    with pytest.raises(SearchkitError):
        counting.kept(Store.open(store.path), str(base), counter.fingerprint)
    shutil.copytree(tiny_model("llama"), base)
    found = counting.kept(Store.open(store.path), str(base), counter.fingerprint)
    assert found.starts()(TEXT) == again(TEXT)


def test_another_tokenizer_has_another_fingerprint(tiny_model):
    one, same, other = (
        counting.of_base(str(tiny_model(name))) for name in ("llama", "llama", "qwen2")
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert counting.WORDS.fingerprint not in (one.fingerprint, other.fingerprint)
