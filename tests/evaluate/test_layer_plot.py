"""Layers drawn and told: bars that measure, marks on the best, and words that claim no more."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from searchkit.evaluate import layer_plot
from searchkit.evaluate.layers import LayerRow

SVG = "{http://www.w3.org/2000/svg}"


def rows_of(means, *, pooling="mean", attention="causal", p=0.01, name="toy", measure="nDCG@10"):
    """A row for each mean, layers from 1; intervals reach 0.04 to either side."""
    last = means[-1]
    return [
        LayerRow(
            set=name,
            measure=measure,
            attention=attention,
            pooling=pooling,
            layer=layer,
            mean=mean,
            items=100,
            difference=None if layer == len(means) else mean - last,
            low=None if layer == len(means) else mean - last - 0.04,
            high=None if layer == len(means) else mean - last + 0.04,
            p=None if layer == len(means) else p,
        )
        for layer, mean in enumerate(means, start=1)
    ]


def designs_of(*lists):
    """Lists of rows by their design."""
    return {(rows[0].pooling, rows[0].attention): rows for rows in lists}


FOUR = designs_of(
    rows_of([0.10, 0.30, 0.20]),
    rows_of([0.20, 0.25, 0.26], pooling="eos_last"),
    rows_of([0.15, 0.16, 0.14], attention="bidirectional", p=0.4),
    rows_of([0.05, 0.06, 0.40], pooling="eos_last", attention="bidirectional"),
)


def drawn(designs=FOUR, name="toy"):
    return ElementTree.fromstring(layer_plot.svg(name, designs))


def points_of(element):
    return [tuple(map(float, point.split(","))) for point in element.get("points").split()]


def texts_of(root):
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def test_rows_are_grouped_by_set_and_design():
    rows = [row for name in ("b", "a") for one in FOUR.values() for row in renamed(one, name)]
    groups = layer_plot.grouped(rows)
    assert list(groups) == ["b", "a"]
    for name, designs in groups.items():
        assert list(designs) == list(FOUR)
        assert designs == {design: renamed(of, name) for design, of in FOUR.items()}


def renamed(rows, name):
    return [replace(row, set=name) for row in rows]


class TestBars:
    @pytest.mark.parametrize(
        ("share", "bar"),
        [
            (1.0, "█████████"),
            (0.5, "████▌"),
            (1 / 9, "█"),
            (1 / 72, "▏"),
            (7 / 72, "▉"),
            (0.0, ""),
            (-0.3, ""),
        ],
    )
    def test_are_as_long_as_their_share_of_nine_characters(self, share, bar):
        assert layer_plot.bar(share) == bar

    def test_of_all_designs_share_a_scale_and_the_best_layers_have_a_star(self):
        designs = designs_of(
            rows_of([0.2, 0.4, 0.1]), rows_of([0.3, 0.2, 0.3], attention="bidirectional")
        )
        assert list(layer_plot.lines(designs)) == [
            ["1", "0.200  ████▌", "0.300* ██████▊"],
            ["2", "0.400* █████████", "0.200  ████▌"],
            ["3", "0.100  ██▎", "0.300  ██████▊"],
        ]

    def test_are_made_of_what_a_plain_terminal_has(self):
        designs = designs_of(rows_of([0.2, 0.4, 0.0]))
        assert list(layer_plot.lines(designs, ascii_only=True)) == [
            ["1", "0.200  ####"],
            ["2", "0.400* #########"],
            ["3", "0.000"],
        ]

    def test_are_none_where_no_mean_is_above_zero(self):
        designs = designs_of(rows_of([-0.2, -0.1], measure="Spearman"))
        assert list(layer_plot.lines(designs)) == [
            ["1", "-0.200"],
            ["2", "-0.100*"],
        ]

    def test_are_missing_where_a_design_did_not_read_a_layer(self):
        designs = designs_of(rows_of([0.4, 0.2]), rows_of([0.2], pooling="eos_last"))
        assert list(layer_plot.lines(designs)) == [
            ["1", "0.400* █████████", "0.200* ████▌"],
            ["2", "0.200  ████▌", ""],
        ]


class TestSentences:
    def test_say_which_layer_is_better_and_by_how_much(self):
        assert layer_plot.sentence(rows_of([0.10, 0.30, 0.20], p=0.003)) == (
            "mean-causal on toy: layer 2 is best with 0.300, 0.100 nDCG@10 above the last, 3 "
            "(0.060 to 0.140), p .003 corrected over 2 layers."
        )

    def test_say_where_it_may_be_chance(self):
        assert layer_plot.sentence(rows_of([0.22, 0.20], p=0.05)) == (
            "mean-causal on toy: layer 1 is best with 0.220, 0.020 nDCG@10 above the last, 2 "
            "(-0.020 to 0.060), which may be chance, p .050 corrected over 1 layer."
        )

    @pytest.mark.parametrize("means", [[0.1, 0.2, 0.2], [0.1, 0.1, 0.2], [0.2]])
    def test_say_where_no_layer_is_above_the_last(self, means):
        """A tie is not above."""
        said = layer_plot.sentence(rows_of(means))
        assert said == f"mean-causal on toy: no layer is above the last, {len(means)}, with 0.200."

    def test_do_not_call_a_small_difference_none(self):
        assert ", less than 0.001 nDCG@10 above the last, 2 (" in layer_plot.sentence(
            rows_of([0.2003, 0.2])
        )


class TestDrawing:
    def test_is_well_formed_whatever_a_set_is_called(self):
        name = "a <b> & \"c\" 'd' ]]>"
        root = drawn(name=name)
        assert root.find(f"{SVG}title").text == f"nDCG@10 of each layer on {name}"
        assert texts_of(root)[0] == f"nDCG@10 of each layer on {name}"

    def test_has_a_line_a_band_and_a_name_for_each_design(self):
        root = drawn()
        assert len(root.findall(f"{SVG}polyline")) == len(root.findall(f"{SVG}polygon")) == 4
        names = [f"{pooling}-{attention}" for pooling, attention in FOUR]
        assert [text for text in texts_of(root) if text in names] == names

    def test_tells_lines_apart_without_colour(self):
        """And each line of the key is drawn as the line that it stands for."""
        root = drawn()
        dashes = [line.get("stroke-dasharray") for line in root.findall(f"{SVG}polyline")]
        assert len(set(dashes)) == 4
        keys = [line for line in root.findall(f"{SVG}line") if line.get("stroke-dasharray")]
        assert [line.get("stroke-dasharray") for line in keys] == dashes
        assert [line.get("stroke") for line in keys] == [
            line.get("stroke") for line in root.findall(f"{SVG}polyline")
        ]

    def test_points_stand_where_the_scale_says(self):
        """The ticks are the scale: between two of them, a mean lies at its share of the way."""
        root = drawn()
        ticks = {
            float(text): float(element.get("y")) - 4
            for element in root.iter(f"{SVG}text")
            if element.get("text-anchor") == "end"
            for text in element.itertext()
        }
        assert 0.0 in ticks and len(ticks) >= 4

        def place(mean):
            return ticks[0.0] + mean / 0.2 * (ticks[0.2] - ticks[0.0])

        for line, rows in zip(root.findall(f"{SVG}polyline"), FOUR.values(), strict=True):
            points = points_of(line)
            assert [y for _, y in points] == pytest.approx([place(r.mean) for r in rows], abs=0.2)
            (one, _), (two, _), (three, _) = points
            assert two - one == pytest.approx(three - two, abs=0.2)
            assert one < two

    def test_bands_are_the_intervals_around_the_last_mean(self):
        root = drawn(designs_of(rows_of([0.1, 0.3, 0.2])))
        (line,), (band,) = root.findall(f"{SVG}polyline"), root.findall(f"{SVG}polygon")
        points, ends = points_of(line), points_of(band)
        assert [x for x, _ in ends] == [x for x, _ in [*points, *reversed(points)]]
        scale = (points[0][1] - points[1][1]) / 0.2  # of the picture for one of the measure
        for (_, middle), (_, low), (_, high) in zip(points[:2], ends, ends[::-1], strict=False):
            assert (low - middle, middle - high) == pytest.approx((0.04 * scale,) * 2, abs=0.2)
        assert ends[2] == ends[3] == points[2]  # the last layer does not differ from itself

    def test_dots_are_on_the_best_layers_and_hollow_where_that_may_be_chance(self):
        root = drawn()
        lines, dots = root.findall(f"{SVG}polyline"), root.findall(f"{SVG}circle")
        for line, dot, best in zip(lines, dots, (2, 3, 2, 3), strict=True):
            place = float(dot.get("cx")), float(dot.get("cy"))
            assert place == points_of(line)[best - 1]
            assert dot.get("stroke") == line.get("stroke")
        assert [dot.get("fill") == "#fff" for dot in dots] == [False, False, True, False]

    def test_layers_are_whole_numbers(self):
        for depth in (1, 2, 3, 5, 30, 80):
            root = drawn(designs_of(rows_of([0.1] * depth)))
            numbers = [
                float("".join(element.itertext()))
                for element in root.iter(f"{SVG}text")
                if element.get("text-anchor") == "middle" and element.text != "layer"
            ]
            assert numbers[0] == 1
            assert all(number.is_integer() and number <= depth for number in numbers)
            assert len(numbers) >= min(depth, 3)

    @pytest.mark.parametrize(
        "means", [[0.2], [0.0, 0.0], [-0.3, -0.1], [0.5], [1.0, 1.0, 1.0]], ids=str
    )
    def test_of_odd_means_stays_within_the_picture(self, means):
        root = drawn(designs_of(rows_of(means)))
        _, _, width, height = map(float, root.get("viewBox").split())
        for element in (*root.findall(f"{SVG}polyline"), *root.findall(f"{SVG}polygon")):
            for x, y in points_of(element):
                assert math.isfinite(x) and 0 <= x <= width
                assert math.isfinite(y) and 0 <= y <= height
