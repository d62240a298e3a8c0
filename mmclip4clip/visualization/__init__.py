from .gallery import draw_gallery

__all__ = ['draw_gallery']
