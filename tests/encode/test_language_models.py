"""Base models: whatever they come as, they end as verified files, or as one line that says why.

The network alone has stand-ins: a folder of wheels, which the real pip reads, and a server on this
machine, which the real client of hubs asks. GGUF files are written from a tiny model.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from searchkit import places
from searchkit.encode import embedder, language_models
from searchkit.encode.language_models import BaseModel, hash_of, pull, read_config, resolve
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName

TEXTS = ["The quick brown fox", "Pooling turns states into one vector, and an index holds it."]
F16, Q8 = gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.Q8_0


def one_line(refusal):
    message = str(refusal.value)
    assert "\n" not in message
    return message


def models_here():
    return sorted(path.name for path in places.models().iterdir())


def vectors_of(base):
    loaded = embedder.load(
        [parse("mean-causal", base=base), parse("eos_last-causal", base=base)],
        engine="packed",
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    return loaded.encode(TEXTS).vectors


def cosines(one, other):
    return np.concatenate([(one[name] * other[name]).sum(axis=1) for name in one])


def write_gguf(folder, path, kind):
    """A GGUF file of a tiny Llama, as converters write them: q and k rows in Meta's order."""
    config, weights = read_config(folder), load_file(folder / "model.safetensors")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda pair: pair[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types(
        [3 if token in ("<pad>", "<bos>", "<eos>") else 1 for token, _ in vocabulary]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages }}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, tensor in weights.items():
        data = tensor.numpy()
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if part in name:
                halves = data.reshape(config[heads], 2, -1, data.shape[1])
                data = halves.swapaxes(1, 2).reshape(data.shape)
        how = kind if data.ndim > 1 else gguf.GGMLQuantizationType.F32
        target = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(target, gguf.quants.quantize(data, how), raw_dtype=how)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def tiny_gguf(tiny_model, tmp_path_factory):
    return write_gguf(tiny_model("llama"), tmp_path_factory.mktemp("gguf") / "tiny.gguf", F16)


@pytest.fixture(scope="session")
def converted_elsewhere(tiny_gguf, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHKIT_HOME", str(tmp_path_factory.mktemp("elsewhere")))
        return resolve(str(tiny_gguf)).folder


@pytest.fixture
def converted(converted_elsewhere):
    """The folder that the tiny GGUF file was converted into, in this test's own home."""
    return shutil.copytree(converted_elsewhere, places.models() / converted_elsewhere.name)


@pytest.fixture
def copy(tiny_model, tmp_path):
    """A folder of a tiny model that a test may harm."""
    return shutil.copytree(tiny_model("llama"), tmp_path / "model")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def nudge_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# Folders


def test_a_folder_is_used_where_it_lies(tiny_model):
    folder = tiny_model("llama")
    base = resolve(str(folder))
    assert base == BaseModel(str(folder), folder, hash_of(folder))
    assert base.config["num_hidden_layers"] == 3
    assert not (folder / "searchkit.json").exists()
    assert not places.models().exists()


def test_the_hash_is_that_of_the_files_wherever_they_lie(tiny_model, copy):
    assert hash_of(copy) == hash_of(tiny_model("llama"))
    assert hash_of(copy) != hash_of(tiny_model("qwen2"))


@pytest.mark.parametrize(
    "key", ["transformers_version", "_name_or_path", "_model_name_or_path", "dtype", "torch_dtype"]
)
def test_what_a_library_notes_in_the_configuration_is_not_hashed(copy, key):
    before = hash_of(copy)
    edit_config(copy, **{key: "something else"})
    assert hash_of(copy) == before


def test_the_layout_of_a_file_is_not_hashed(copy):
    before = hash_of(copy)
    for name in ("tokenizer.json", "config.json"):
        content = json.loads((copy / name).read_text())
        (copy / name).write_text(json.dumps(content, indent=7, sort_keys=True))
    assert hash_of(copy) == before


@pytest.mark.parametrize("key", ["chat_template", "model_max_length", "padding_side"])
def test_what_we_never_read_of_a_tokenizer_is_not_hashed(copy, key):
    before = hash_of(copy)
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "4"}))
    assert hash_of(copy) == before


def drop_a_merge(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"].pop()
    path.write_text(json.dumps(content))


def name_another_eos(folder):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": "<pad>"}))


@pytest.mark.parametrize(
    "change",
    [
        nudge_a_weight,
        drop_a_merge,
        name_another_eos,
        lambda folder: (folder / "tokenizer_config.json").unlink(),
        lambda folder: edit_config(folder, rms_norm_eps=1e-5),
        lambda folder: edit_config(folder, num_hidden_layers=2),
        lambda folder: edit_config(folder, eos_token_id=3),
    ],
    ids=["weight", "merge", "eos name", "no eos name", "eps", "depth", "eos id"],
)
def test_what_may_change_a_vector_changes_the_hash(copy, change):
    before = hash_of(copy)
    change(copy)
    assert hash_of(copy) != before


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused_by_its_name(copy, missing):
    (copy / missing).unlink()
    with pytest.raises(BadInput, match=missing.replace("model.", r"\*\.")) as refusal:
        resolve(str(copy))
    assert "missing" in one_line(refusal)


def test_pickled_weights_are_not_read(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(BadInput, match="weights as pickles are not read"):
        resolve(str(copy))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("harm", ["pointer", "half", "empty"])
def test_a_file_that_is_not_what_it_must_be_is_refused_by_its_name(copy, name, harm):
    """Among them the pointers that a clone without large files leaves behind."""
    path = copy / name
    data = path.read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    path.write_bytes({"pointer": pointer, "half": data[: len(data) // 2], "empty": b""}[harm])
    with pytest.raises(BadInput, match=name) as refusal:
        resolve(str(copy))
    one_line(refusal)


def test_a_configuration_that_is_no_object_is_refused(copy):
    (copy / "config.json").write_text("[1, 2]")
    with pytest.raises(BadInput, match=r"config\.json holds list, not a JSON object"):
        resolve(str(copy))


def test_the_language_models_row_of_a_larger_model_is_read(copy):
    edit_config(copy, text_config={"num_hidden_layers": 7}, model_type="outer")
    config = read_config(copy)
    assert (config["num_hidden_layers"], config["model_type"]) == (7, "outer")


# Names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smollm2-135m", "not on this machine; get it with: searchkit models pull smollm2-135m"),
        ("owner/model", "if it is a hub id: searchkit models pull owner/model"),
        ("smollm3", "no base model 'smollm3'; give one of smollm2-135m, gemma3-270m, a model"),
        ("./nowhere/at-all", "no base model './nowhere/at-all'; give one of"),
        ("nowhere/model.gguf", "no GGUF file at nowhere/model.gguf"),
    ],
)
def test_a_name_that_nothing_goes_by_is_refused_with_what_to_do(name, words):
    with pytest.raises(UnknownName) as refusal:
        resolve(name)
    assert words in one_line(refusal)


def test_known_models_say_where_they_come_from():
    known = language_models.known()
    assert language_models.DEFAULT in known
    for name, row in known.items():
        assert row.name == name and row.title and row.licence and row.download_mb > 0
        assert row.parts and all("==" in package for package in row.packages)
        assert len(row.sha256) == 64 and int(row.sha256, 16)
        assert bool(row.terms) == bool(row.terms_file)


# GGUF files


@pytest.mark.parametrize(("kind", "least"), [(F16, 0.9998), (Q8, 0.999)], ids=["f16", "q8_0"])
def test_a_gguf_file_gives_the_vectors_of_the_model_it_was_made_from(
    tiny_model, tmp_path, kind, least
):
    path = write_gguf(tiny_model("llama"), tmp_path / "Tiny-Q.gguf", kind)
    base = resolve(str(path))
    assert base.name == str(path)
    assert base.folder.parent == places.models() and base.folder.name.startswith("Tiny-Q-")
    agreement = cosines(vectors_of(str(path)), vectors_of(str(tiny_model("llama"))))
    assert agreement.min() > least
    for text in TEXTS:
        ids = [
            Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
            for folder in (base.folder, tiny_model("llama"))
        ]
        assert ids[0] == ids[1][:-1]  # the source's tokenizer adds EOS, a GGUF file promises none


def test_a_gguf_file_is_converted_once(tiny_gguf):
    first = resolve(str(tiny_gguf))
    times = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert resolve(str(tiny_gguf)) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == times
    assert models_here() == [first.folder.name]


def test_a_gguf_file_of_the_same_name_but_other_weights_is_another_model(
    tiny_model, tiny_gguf, tmp_path
):
    other = write_gguf(tiny_model("llama"), tmp_path / tiny_gguf.name, Q8)
    assert resolve(str(other)).folder != resolve(str(tiny_gguf)).folder
    assert resolve(str(other)).hash != resolve(str(tiny_gguf)).hash


def test_a_converted_model_holds_plain_bfloat16_and_no_chat_template(converted):
    weights = load_file(converted / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert "quantization_config" not in read_config(converted)
    assert not (converted / "chat_template.jinja").exists()
    assert not json.loads((converted / "tokenizer_config.json").read_text())["chat_template"]


def test_what_is_no_gguf_file_is_refused_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF is not all it takes" * 9)
    with pytest.raises(BadInput, match=r"model\.gguf cannot be read as a GGUF") as refusal:
        resolve(str(path))
    one_line(refusal)
    assert not places.models().exists() or models_here() == []


def cut_short(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-9])


@pytest.mark.parametrize(
    "harm",
    [
        nudge_a_weight,
        cut_short,
        drop_a_merge,
        lambda folder: edit_config(folder, rms_norm_eps=0.5),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "tokenizer.json").write_text(""),
        lambda folder: (folder / "searchkit.json").write_text(json.dumps({"hash": "0" * 64})),
        lambda folder: (folder / "searchkit.json").write_text("{"),
    ],
    ids=["weight", "half", "merge", "eps", "config", "tokenizer", "other stamp", "torn stamp"],
)
def test_a_changed_file_of_a_converted_model_is_found(tiny_gguf, converted, harm):
    assert resolve(str(tiny_gguf)).folder == converted
    harm(converted)
    with pytest.raises(CorruptFile, match="have changed") as refusal:
        resolve(str(tiny_gguf))
    message = one_line(refusal)
    assert str(tiny_gguf) in message and str(converted) in message
    assert message.endswith("delete that folder and the file is converted anew")


def test_the_hash_that_was_noted_is_the_one_that_the_files_give(tiny_gguf, converted):
    whole = resolve(str(tiny_gguf))
    noted = json.loads((converted / "searchkit.json").read_text())
    assert noted["hash"] == whole.hash
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(noted["files"])
    # As an earlier version wrote it.
    (converted / "searchkit.json").write_text(json.dumps({"hash": whole.hash}))
    os.utime(converted / "config.json", (0, 0))
    assert resolve(str(tiny_gguf)) == whole


@pytest.mark.parametrize("left", ["nothing", "a half"])
def test_what_is_not_whole_is_converted_anew(tiny_gguf, converted, left):
    whole = resolve(str(tiny_gguf))
    if left == "nothing":
        shutil.rmtree(converted)
    else:
        (converted / "searchkit.json").unlink()
        (converted / "model.safetensors").write_bytes(b"half")
    assert resolve(str(tiny_gguf)) == whole
    assert models_here() == [converted.name]


# Pulling


def write_wheel(folder, name, members):
    """A wheel that pip accepts, with some files in it."""
    info = f"{name}-1.0.dist-info"
    members = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in members).encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)


@pytest.fixture
def shop(tiny_gguf, tmp_path, monkeypatch):
    """Two wheels that hold a tiny GGUF file in two parts, and a table of known models with it."""
    data = tiny_gguf.read_bytes()
    wheels, table = tmp_path / "wheels", tmp_path / "table"
    wheels.mkdir()
    table.mkdir()
    write_wheel(wheels, "tiny_one", {"tiny_one/b": data[10_000:], "tiny_one/terms": b"Be good."})
    write_wheel(wheels, "tiny_two", {"tiny_two/a": data[:10_000], "tiny_two/code.py": b"1 / 0"})
    sha = hashlib.sha256(data).hexdigest()
    row = """
    title = "Tiny"
    licence = "Apache-2.0"
    download_mb = 1
    packages = ["tiny-one==1.0", "tiny-two==1.0"]
    parts = ["tiny_two/a", "tiny_one/b"]
    """
    terms = 'terms = "Be good, or else."\nterms_file = "tiny_one/terms"\n'
    (table / "known_models.toml").write_text(
        f'[tiny]\n{row}sha256 = "{sha}"\n'
        f'[guarded]\n{row}sha256 = "{sha}"\n{terms}'
        f'[changed]\n{row}sha256 = "{"0" * 64}"\n'
        f'[lost]\n{row.replace("tiny-two==1.0", "tiny-three==1.0")}sha256 = "{sha}"\n'
    )
    monkeypatch.setattr(language_models, "package_files", lambda package: table)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def test_a_pulled_model_gives_the_vectors_of_its_source(shop, tiny_model):
    said = []
    base = pull("tiny", say=said.append)
    assert said == ["downloading tiny (1 MB)", "converting it to safetensors, once"]
    assert base == resolve("tiny") and base.folder == places.models() / "tiny"
    agreement = cosines(vectors_of("tiny"), vectors_of(str(tiny_model("llama"))))
    assert agreement.min() > 0.9998
    assert models_here() == ["tiny"]  # no scratch, no wheel, nothing of its code


def test_pulling_again_does_nothing(shop):
    base = pull("tiny")
    times = {path: path.stat().st_mtime_ns for path in base.folder.iterdir()}
    shutil.rmtree(shop)
    said = []
    assert pull("tiny", say=said.append) == base
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in base.folder.iterdir()} == times


def test_a_pulled_model_is_here_and_another_is_not(shop, tiny_gguf):
    assert not language_models.is_here("tiny")
    pull("tiny")
    converted = resolve(str(tiny_gguf)).folder
    assert language_models.is_here("tiny") and not language_models.is_here("guarded")
    assert language_models.others_here() == [converted.name]


def test_weights_other_than_the_known_ones_are_not_used(shop):
    with pytest.raises(CorruptFile, match="holds other weights than the known ones") as refusal:
        pull("changed")
    assert "they were not used" in one_line(refusal)
    assert models_here() == []
    with pytest.raises(UnknownName, match="get it with"):
        resolve("changed")


def test_terms_must_be_accepted_first(shop):
    with pytest.raises(SearchkitError, match="--accept-terms") as refusal:
        pull("guarded")
    one_line(refusal)
    assert not places.models().exists()
    base = pull("guarded", accept_terms=True)
    assert (base.folder / "TERMS.html").read_text() == "Be good."


def test_a_download_that_fails_says_why_and_what_to_do(shop):
    with pytest.raises(SearchkitError) as refusal:
        pull("lost")
    message = one_line(refusal)
    assert message.startswith("pip could not download tiny-one==1.0, tiny-three==1.0: ")
    assert "No matching distribution found for tiny-three==1.0" in message
    assert message.endswith("with a network, run: searchkit models pull lost")
    assert models_here() == []


def test_a_changed_pulled_model_is_to_be_pulled_again(shop):
    nudge_a_weight(pull("tiny").folder)
    with pytest.raises(CorruptFile, match="delete that folder and run: searchkit models pull tiny"):
        resolve("tiny")
    with pytest.raises(CorruptFile):
        pull("tiny")


def test_a_name_that_cannot_be_pulled_lists_those_that_can(shop):
    with pytest.raises(UnknownName) as refusal:
        pull("tinier")
    assert "there are tiny, guarded, changed, lost, and hub ids such as" in one_line(refusal)


class Hub(BaseHTTPRequestHandler):
    """As much of a model hub as its client asks for, over one model's files."""

    files: ClassVar[dict[str, bytes]] = {}
    commit = "a" * 40

    def answer(self):
        if self.path.startswith("/api/models/owner/model/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": self.commit}
                for name, data in self.files.items()
            ]
            return json.dumps(rows).encode(), {"Content-Type": "application/json"}
        if self.path.startswith("/api/models/owner/model/"):
            siblings = [{"rfilename": name} for name in self.files]
            row = {"id": "owner/model", "sha": self.commit, "siblings": siblings}
            return json.dumps(row).encode(), {"Content-Type": "application/json"}
        name = self.path.rsplit("/", 1)[-1]
        if not self.path.startswith("/owner/model/resolve/") or name not in self.files:
            return None, {}
        return self.files[name], {"ETag": f'"{name}"', "X-Repo-Commit": self.commit}

    def do_GET(self):
        data, headers = self.answer()
        self.send_response(404 if data is None else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data or b"")

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


PULL = """
import sys
from searchkit.encode.language_models import pull
from searchkit.errors import SearchkitError
try:
    print(pull(sys.argv[1]).hash)
except SearchkitError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def pull_from_hub(home, monkeypatch):
    """Pull an id in a process of its own, whose hub is a server on this machine."""

    def pull_(name, files):
        handler = type("OneModel", (Hub,), {"files": files})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        settings = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home / "hub")}
        done = subprocess.run(
            [sys.executable, "-c", PULL, name],
            env={**os.environ, **settings, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
        )
        server.shutdown()
        server.server_close()
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return pull_


def test_a_model_from_a_hub_comes_without_pickles_and_code(tiny_model, pull_from_hub):
    files = {path.name: path.read_bytes() for path in tiny_model("llama").iterdir()}
    more = {"pytorch_model.bin": b"pickle", "modeling.py": b"1 / 0", "LICENSE": b"Be good."}
    assert pull_from_hub("owner/model", {**files, **more}) == hash_of(tiny_model("llama"))
    base = resolve("owner/model")
    here = {path.name for path in base.folder.iterdir()}
    assert here == {*files, "LICENSE", "searchkit.json"}
    assert language_models.is_here("owner/model")
    assert language_models.others_here() == ["owner/model"]
    assert cosines(vectors_of("owner/model"), vectors_of(str(tiny_model("llama")))).min() > 0.99999


@pytest.mark.parametrize("lost", ["tokenizer.json", "model.safetensors"])
def test_a_model_from_a_hub_that_lacks_a_file_is_refused_and_not_kept(
    tiny_model, pull_from_hub, lost
):
    files = {path.name: path.read_bytes() for path in tiny_model("llama").iterdir()}
    del files[lost]
    said = pull_from_hub("owner/model", files)
    assert said.startswith(f"BadInput: owner/model has no {lost.replace('model.', '*.')}")
    assert models_here() == [] and not language_models.is_here("owner/model")


def test_an_id_that_a_hub_does_not_have_is_refused(pull_from_hub):
    said = pull_from_hub("owner/other", {})
    assert said.startswith("SearchkitError: owner/other could not be downloaded: ")
    assert "\n" not in said and models_here() == []


def test_a_hub_that_cannot_be_reached_is_said_in_a_line():
    """The tests run with the hub switched off."""
    with pytest.raises(SearchkitError, match="owner/model could not be downloaded") as refusal:
        pull("owner/model")
    assert "check the id and the network" in one_line(refusal)
    assert models_here() == []


@pytest.mark.slow
def test_the_default_base_is_pulled_once_and_is_what_it_says(real_base):
    base = pull(real_base)
    times = {path: path.stat().st_mtime_ns for path in base.folder.iterdir()}
    said = []
    assert pull(real_base, say=said.append) == base == resolve(real_base)
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in base.folder.iterdir()} == times
    shape = ("model_type", "num_hidden_layers", "hidden_size", "vocab_size")
    assert [base.config[key] for key in shape] == ["llama", 30, 576, 49_152]
