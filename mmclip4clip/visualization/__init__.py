from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .captions import draw_captions, write_caption_page
    from .contact_sheet import write_contact_sheet
    from .gallery import draw_gallery

__all__ = ['draw_captions', 'draw_gallery', 'write_caption_page', 'write_contact_sheet']

__getattr__ = lazy_exports(
    __name__,
    dict(
        captions=['draw_captions', 'write_caption_page'],
        contact_sheet=['write_contact_sheet'],
        gallery=['draw_gallery'],
    ),
)
