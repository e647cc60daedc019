"""A folder for the transformers library, whose AutoModel gives the hidden states.

That library has no poolings; `embed.py`, a page of torch that goes along, has them.
"""

import shutil
from pathlib import Path

from searchkit.encode.language_models import BaseModel
from searchkit.encode.variant import Variant

_CODE = Path(__file__).with_name("_embed.py")


def unsupported(variant: Variant, base: BaseModel) -> str | None:
    """Why a variant cannot have this form: any can."""
    return None


def complete(folder: Path, variant: Variant, base: BaseModel) -> str:
    """Add what this form needs; returns how to use the folder, for its README."""
    shutil.copyfile(_CODE, folder / "embed.py")
    return f"""\
With torch and transformers, in this folder:

```python
from embed import Embedder

embedder = Embedder()
queries = embedder.embed(["who eats grass by the sea?"], role="query")
passages = embedder.embed(["Sheep graze on the western cliffs.", "The ferry does not run."])
print(queries @ passages.T)
```

`AutoModel.from_pretrained` of this folder gives the hidden states, and `AutoTokenizer` tokens that
end with EOS; `embed.py` says what the {variant.pooling} pooling makes of them.
"""
