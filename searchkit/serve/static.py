"""The files of the page: those that lie in its folder when the server starts, and no others."""

from pathlib import Path

from fastapi import Response
from starlette.exceptions import HTTPException

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Page:
    """The files of a folder by their names below it; a name from outside is never made a path.

    Args:
        folder: of the page; links in it are left out.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.suffix in _TYPES and path.is_file() and not path.is_symlink()
        }

    def answer(self, name: str) -> Response:
        """A file as it is now.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        path = self._files.get(name)
        if path is None:
            raise HTTPException(404)
        return Response(
            path.read_bytes(), media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"}
        )
