"""The keys of the view as a whole, and where its parts stand."""

from textual.binding import Binding, BindingType

BINDINGS: list[BindingType] = [
    Binding(
        "less_than_sign",
        "vote('left')",
        "left is better",
        key_display="<",
        tooltip="blind mode: left is better",
    ),
    Binding("equals_sign", "vote('tie')", "a tie", key_display="=", tooltip="blind mode: a tie"),
    Binding(
        "greater_than_sign",
        "vote('right')",
        "right is better",
        key_display=">",
        tooltip="blind mode: right is better",
    ),
    Binding("t", "tally", "tally", tooltip="blind mode: how the votes stand"),
    Binding("enter", "open", "open", tooltip="open a text in the editor, others in a viewer"),
    Binding("m", "passages", "passages", tooltip="other passages of the document that match"),
    Binding("r", "judge(1)", "relevant", tooltip="judge the document relevant"),
    Binding("x", "judge(0)", "not relevant", tooltip="judge the document not relevant"),
    Binding("s", "compare", "side by side", tooltip="compare two ways to search, or end it"),
    Binding("b", "blind", "blind", tooltip="hide which column is which, and vote; or end it"),
    Binding("v", "system", "how to search", tooltip="how the column is searched"),
    Binding("f", "filter", "filters", tooltip="add a filter to the query"),
    Binding("y", "copy_place", "copy place", tooltip="copy the path with line or page"),
    Binding("Y", "copy_passage", "copy passage", tooltip="copy the text of the passage"),
    Binding("e", "edit", "editor", tooltip="open in $EDITOR, at the line"),
    Binding("o", "view", "viewer", tooltip="open in the desktop's viewer, at the page"),
    Binding("z", "zoom", "zoom", tooltip="the document alone, or with its list"),
    Binding("i", "index", "indexes", tooltip="search another index"),
    Binding("ctrl+r,h", "history", "history", tooltip="choose an earlier query"),
    Binding("tab", "app.focus_next", "next part", show=False),
    Binding("shift+tab", "app.focus_previous", "previous part", show=False),
    Binding("ctrl+l", "redraw", "draw the screen anew", show=False),
    Binding("question_mark", "help", "help", key_display="?", tooltip="all keys"),
    Binding("f1", "help", "help", key_display="F1", tooltip="all keys"),
    Binding("ctrl+q,ctrl+c,q", "quit", "quit", tooltip="quit"),
]

CSS = """
Screen { background: $background; color: $ink; layout: vertical; layers: below above; }
#asking { height: 1; }
#index { width: auto; color: $accent; text-style: bold; padding: 0 1; }
#query { width: 1fr; }
#body { layout: vertical; height: 1fr; }
#lists { layout: horizontal; height: 11fr; }
#reading { height: 10fr; }
#preview { height: 1fr; }
Column { width: 1fr; }
#right { display: none; }
.two #right { display: block; }
.two #left { margin-right: 1; }
.wide #body { layout: horizontal; }
.wide #lists { width: 46fr; height: 100%; margin-right: 1; }
.wide #reading { width: 54fr; height: 100%; }
.wide.two #lists { width: 60fr; }
.wide.two #reading { width: 40fr; }
.zoomed #lists { display: none; }
#status { layer: above; margin-bottom: 1; }
KeyLine { margin-top: 1; }
"""
