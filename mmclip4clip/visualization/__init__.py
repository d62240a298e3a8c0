from .captions import draw_captions, write_caption_page
from .contact_sheet import write_contact_sheet
from .gallery import draw_gallery

__all__ = ['draw_captions', 'draw_gallery', 'write_caption_page', 'write_contact_sheet']
