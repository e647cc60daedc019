"""Studies: which designs are trained, on what, and how they are compared, as a TOML file says it.

title = "Means and EOS states"
seeds = [0, 1]                 # every design is trained once for each
baseline = "model1"            # whose mean the others' differences are from; the first by default
untrained = true               # compare designs with themselves untrained

[training]                     # the same for every design
pairs = [                      # as searchkit train takes them
    { path = "${DATA}/faq.jsonl.gz", licence = "CC0 1.0" },
    { path = "${DATA}/scifact@train", licence = "CC BY 4.0" },
]
held_out = ["${DATA}"]         # no query or positive may be what a set in here asks
drop_leaks = true              # leave such pairs out instead of refusing them
regime = "lora"                # or "upper", "pooling"
steps = 500
batch_size = 32
warm_up = 0.1                  # share of the steps

[[variant]]
name = "model1"
design = "model1"              # or <pooling>-<attention>

[[variant]]
name = "model5"
design = "model5"

[[variant]]
name = "model5, no W"
design = "model5"
pooling_options = { layer_scale = 0.0 }
against = "model5"             # in the place of the baseline

[evaluation]                   # a suite, see `searchkit.evaluate.suite`
data = "${DATA}"
set = [{ name = "scifact" }, { name = "stsb" }]
system = [{ bm25 = "default" }, { hybrid = ["bm25", "model1"] }]   # of each seed

The evaluation names the systems that need no training; those of the study come to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from searchkit.encode.variant import Variant, parse
from searchkit.errors import UnknownName
from searchkit.evaluate.toml_file import TomlFile
from searchkit.study.study import PairsFrom, Row, Study, Training
from searchkit.train.lora import Lora
from searchkit.train.regimes import DTYPES, LORA, POOLING, UPPER, refuse_unfit
from searchkit.train.settings import Settings
from searchkit.train.teacher import DISTILLATION

SHIPPED = Path(__file__).parent / "study.toml"

_NUMBER = (int, float)
_KEYS = {
    "title": str, "seeds": list, "baseline": str, "untrained": bool, "training": dict,
    "variant": list, "evaluation": dict,
}  # fmt: skip
_OF_SETTINGS = {
    "batch_size": int, "steps": int, "learning_rate": _NUMBER, "warm_up": _NUMBER,
    "weight_decay": _NUMBER, "clip": _NUMBER, "temperature": _NUMBER, "learn_temperature": bool,
    "both_ways": bool, "negatives": int, "masked_steps": int, "mixed": bool, "chunk": int,
    "dims": list, "distillation": _NUMBER, "teacher_temperature": _NUMBER,
    "checkpoint_every": int, "validate_every": int, "keep_best": bool,
}  # fmt: skip
_OF_LORA = {"rank": int, "alpha": _NUMBER, "dropout": _NUMBER, "from_layer": int}
_OF_TRAINING = {
    "pairs": list, "at_most": int, "held_out": list, "drop_leaks": bool, "base": str,
    "max_tokens": int, "regime": str, "teacher": str, "validate": list, "validate_sample": int,
    "engine": str, "dtype": str, **_OF_LORA, **_OF_SETTINGS,
}  # fmt: skip
_OF_ROW = {
    "name": str, "design": str, "pooling_options": dict, "first_layer": int, "last_layer": int,
    "query_template": str, "passage_template": str, "regime": str,
    "against": str,
}  # fmt: skip
_NEEDS = {
    "drop_leaks": "held_out",
    "distillation": "teacher", "teacher_temperature": "teacher",
    "validate_every": "validate", "validate_sample": "validate", "keep_best": "validate",
}  # fmt: skip


def read(path: Path, *, variables: Mapping[str, str] | None = None) -> Study:
    """The study that a TOML file describes; paths in it are relative to it.

    Args:
        path: of the file.
        variables: what stands for ${NAME} in it; the environment by default.

    Raises:
        BadInput: the file cannot be read, or says what no study has.
        UnknownName: a design, regime or row that there is not.
    """
    reader = _Reader(path, variables=variables, tables=("variant",))
    with reader.named():
        return reader.study(reader.read(), variables)


class _Reader(TomlFile):
    """Tables of one file to a study."""

    def study(self, table: dict[str, Any], variables: Mapping[str, str] | None) -> Study:
        self._check("the study", table, _KEYS, ("training", "variant", "evaluation"))
        training = table["training"]
        self._check("training", training, _OF_TRAINING, ("pairs", "batch_size", "steps"))
        rows = table["variant"]
        for row in rows:
            self._check("a variant", row, _OF_ROW, ("name", "design"))
        names = [row["name"] for row in rows]
        if twice := [name for name in names if names.count(name) > 1]:
            raise self.wrong(f"two variants are called {twice[0]!r}; give one another name")
        baseline = table.get("baseline", next(iter(names), ""))
        for other in (baseline, *(row["against"] for row in rows if "against" in row)):
            if other not in names:
                raise UnknownName(
                    f"no variant is called {other!r}, to be compared with; there are: "
                    f"{', '.join(names) or 'none'}"
                )
        return Study(
            path=self.path,
            text=self.text,
            title=table.get("title", "A study"),
            seeds=self._seeds(table.get("seeds", [0])),
            baseline=baseline,
            untrained=table.get("untrained", False),
            training=self._training(training),
            rows=tuple(self._row({"against": baseline, **row}, training) for row in rows),
            evaluation=table["evaluation"],
            variables=variables,
        )

    def _check(self, what: str, row: Any, known: Mapping[str, Any], needed: Sequence[str]) -> None:
        self.check(what, row, known)
        if missing := [name for name in needed if name not in row]:
            raise self.wrong(f"{what} has no {missing[0]!r}; write it")

    def _seeds(self, given: list[Any]) -> tuple[int, ...]:
        whole = all(type(seed) is int and seed >= 0 for seed in given)
        if not given or not whole or len(set(given)) < len(given):
            raise self.wrong(
                f"seeds are {given}; they must be different whole numbers from 0 on, at least one"
            )
        return tuple(given)

    def _training(self, table: dict[str, Any]) -> Training:
        if not table["pairs"]:
            raise self.wrong("training has no pairs; name a file of them")
        self._refuse_idle(table)
        self._refuse_impossible(table)
        teacher = table.get("teacher", "")
        given = {name: table[name] for name in _OF_SETTINGS if name in table}
        given["warm_up"] = round(given.get("warm_up", 0.1) * table["steps"])
        given["keep_best"] = "mean" if given.get("keep_best") else None
        given["dims"] = tuple(self.whole_numbers("dims", table))
        given.setdefault("distillation", DISTILLATION if teacher else 0.0)
        rank = table.get("rank", Lora.rank)
        plain = ("at_most", "drop_leaks", "validate_sample", "engine", "dtype")
        return Training(
            pairs=tuple(map(self._pairs, table["pairs"])),
            regime=_regime(table),
            settings=Settings(**given),
            lora=Lora(
                rank=rank,
                alpha=table.get("alpha", 2.0 * rank),
                dropout=table.get("dropout", Lora.dropout),
                first_layer=table.get("from_layer", Lora.first_layer),
            ),
            held_out=self._places(table, "held_out"),
            validate=self._places(table, "validate"),
            teacher=self._teacher(teacher),
            **{name: table[name] for name in plain if name in table},
        )

    def _refuse_idle(self, table: Mapping[str, Any]) -> None:
        """What does nothing without something else is a mistake, and nobody would notice."""
        for name, other in _NEEDS.items():
            if table.get(name) and not table.get(other):
                raise self.wrong(
                    f"training: {name} does nothing without {other}; name that, too, or leave it "
                    "out"
                )

    def _refuse_impossible(self, table: Mapping[str, Any]) -> None:
        """Values that `Settings` and `Lora` do not look at, or not as the file has them."""
        for name in ("at_most", "validate_sample"):
            if table.get(name, 1) < 1:
                raise self.wrong(f"training: {name} is {table[name]}; it must be 1 or more")
        if not 0 <= table.get("warm_up", 0) <= 1:
            raise self.wrong(
                f"training: warm_up is {table['warm_up']}, and a share of the steps; it must be "
                "from 0 to 1"
            )
        if table.get("dtype") not in (None, *DTYPES):
            raise self.wrong(f"no training in {table['dtype']}; take {' or '.join(DTYPES)}")

    def _pairs(self, given: Any) -> PairsFrom:
        row = {"path": given} if isinstance(given, str) else given
        self._check("pairs", row, {"path": str, "licence": str}, ("path",))
        written = row["path"]
        return PairsFrom(
            path=str(self.place(written)), written=written, licence=row.get("licence", "")
        )

    def _places(self, table: dict[str, Any], name: str) -> tuple[str, ...]:
        return tuple(str(self.place(text)) for text in self.strings(name, table, empty=True))

    def _teacher(self, given: str) -> str:
        """A path in `st:<folder>` is relative to the file, too."""
        kind, colon, folder = self.expanded(given).rpartition("st:")
        return f"{kind}{colon}{self.path.parent / folder}" if colon else given

    def _row(self, row: dict[str, Any], training: dict[str, Any]) -> Row:
        name = row["name"]
        if Path(name).name != name or name.startswith((".", "-")) or not name.isprintable():
            raise self.wrong(f"{name!r} cannot name a variant, whose weights are in a folder of it")
        design = parse(row["design"])
        if design.weights:
            raise self.wrong(f"{name}: {row['design']} is trained already; name a design")
        shared: dict[str, Any] = {
            key: training[key] for key in ("base", "max_tokens") if key in training
        }
        known = {one.name for one in fields(Variant)} - {"label"}
        own = {key: value for key, value in row.items() if key in known}
        variant = Variant.from_row({**design.to_row(), **shared, **own, "label": name})
        regime = _regime({**training, **row})
        refuse_unfit(variant, regime, training.get("engine"))
        return Row(
            name=name,
            variant=replace(variant, base=self.base(variant.base)),
            regime=regime,
            against=row["against"],
        )


def _regime(table: Mapping[str, Any]) -> str:
    regime: str = table.get("regime", LORA)
    if regime not in (LORA, UPPER, POOLING):
        raise UnknownName(f"no regime is called {regime!r}; there are: {LORA}, {UPPER}, {POOLING}")
    return regime
