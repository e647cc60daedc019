"""LaTeX: sections, the title, and what is commented out."""

from searchkit.corpus.extracted import Heading

TEXT = r"""\documentclass{article}
\title{Rain in \emph{May}\thanks{To you}~\& June}
% \section{commented out}
\begin{document}
50\% of \section*{Drops \texttt{a\_b}}\label{x}
text\\%\section{also a comment}
\subsection[short]{A {nested}
  title}
\begin{verbatim}
\section{no}
\end{verbatim}
\sectionmark{no}
\paragraph{Note.} Text.
"""


def test_sections_are_headings_from_the_highest_there_is(read):
    (found,) = read("a.tex", TEXT, "latex")
    assert found.text == TEXT
    assert found.verbatim
    assert found.title == "Rain in May & June"
    assert found.headings == (
        Heading(TEXT.index("50"), 1, "Drops a_b"),
        Heading(TEXT.index(r"\subsection"), 2, "A nested title"),
        Heading(TEXT.index(r"\paragraph"), 4, "Note."),
    )


def test_an_open_brace_or_a_block_without_an_end_is_no_heading(read):
    (found,) = read("a.tex", "\\section{never\n\n\\begin{comment}\n\\section{x}\n", "latex")
    assert found.headings == ()
    assert found.title == ""
