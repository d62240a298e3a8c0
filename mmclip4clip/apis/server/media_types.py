"""Types of media files: those that uploads may have, by their first bytes, and those to serve, by ending."""

from pathlib import PurePath

HEAD_BYTES = 400  # that tell the type
IMAGE_FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP')  # of Pillow
TYPES = {
    '.mp4': 'video/mp4',
    '.m4v': 'video/mp4',
    '.webm': 'video/webm',
    '.mkv': 'video/x-matroska',
    '.mov': 'video/quicktime',
    '.qt': 'video/quicktime',
    '.avi': 'video/x-msvideo',
    '.mpg': 'video/mpeg',
    '.mpeg': 'video/mpeg',
    '.wmv': 'video/x-ms-wmv',
    '.asf': 'video/x-ms-asf',
    '.3gp': 'video/3gpp',
    '.3gpp': 'video/3gpp',
    '.3g2': 'video/3gpp2',
    '.ts': 'video/mp2t',
    '.mts': 'video/mp2t',
    '.m2ts': 'video/mp2t',
    '.flv': 'video/x-flv',
}


def media_type(name: str) -> str:
    """Return the type of a video file by its ending, never one that a browser would run.

    Examples:
        >>> media_type('/v/a.MP4'), media_type('/v/a.divx')
        ('video/mp4', 'application/octet-stream')
    """
    return TYPES.get(PurePath(name).suffix.lower(), 'application/octet-stream')


def kind_of(head: bytes) -> str | None:
    """Tell images from videos by their first bytes; None if it is neither.

    Text such as a playlist is neither: decoders would follow its names of other files.

    Args:
        head (bytes): The first ``HEAD_BYTES`` bytes of a file.

    Examples:
        >>> kind_of(bytes.fromhex('89504e470d0a1a0a')), kind_of(b'#EXTM3U')
        ('image', None)
    """
    if head.startswith((b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'GIF87a', b'GIF89a')):
        return 'image'
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP' or head[:2] == b'BM' and head[6:10] == bytes(4):
        return 'image'
    is_video = (
        head[4:8] in (b'ftyp', b'moov', b'mdat', b'wide')  # MP4, QuickTime, 3GP
        or head.startswith((b'\x1aE\xdf\xa3', b'\x00\x00\x01\xba', b'\x00\x00\x01\xb3', b'FLV\x01'))
        or head.startswith(b'\x30\x26\xb2\x75\x8e\x66\xcf\x11')  # ASF, WMV
        or head[:4] == b'RIFF'
        and head[8:12] == b'AVI '
        or _is_transport_stream(head, 0, 188)
        or _is_transport_stream(head, 4, 192)
    )
    return 'video' if is_video else None


def _is_transport_stream(head: bytes, first: int, packet: int) -> bool:
    return head[first : first + 1] == head[first + packet : first + packet + 1] == b'\x47'
