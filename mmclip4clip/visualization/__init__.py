from .captions import draw_captions, write_caption_page
from .gallery import draw_gallery

__all__ = ['draw_captions', 'draw_gallery', 'write_caption_page']
