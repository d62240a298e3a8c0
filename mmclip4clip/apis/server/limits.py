"""Limits of a server, so that no request can exhaust it."""

from dataclasses import dataclass

MIB = 2**20
IN_SCHEMAS = 'query_characters', 'terms', 'texts', 'top', 'depth', 'strip_frames', 'height'


@dataclass(frozen=True)
class Limits:
    """What a server takes at most.

    The schemas of requests have the defaults of ``query_characters``, ``terms``, ``texts``, ``top``,
    ``depth``, ``strip_frames`` and ``height``, so these can only be lower.

    Args:
        query_characters (int): Of a query, and of a text to encode.
        terms (int): Of a query, uploads included.
        texts (int): To encode in one request.
        top (int): Answers of one page.
        depth (int): Number of the last answer that pages reach.
        compared_depth (int): The same for heads that compare more than a vector, such as WTI.
        waiting (int): Searches that wait for the model; more are told to come back.
        decodes (int): Videos that are decoded at once for frames.
        decode_seconds (float): CPU time of one of them for a decoder.
        decode_bytes (int): Size of the frames of one decode.
        strip_frames (int): Frames of a film strip.
        height (int): Height of a frame in pixels.
        cache_bytes (int): Size of the JPEG files that are kept in memory.
        body_bytes (int): Size of a request that is no upload.
        stall_seconds (float): Time in which nothing of a request comes, before it is given up.
        upload_bytes (int): Size of an uploaded file.
        uploads (int): Uploaded files at a time.
        uploads_bytes (int): Size of them together.
        upload_seconds (int): Age at which an uploaded file is deleted.
        image_pixels (int): Of an uploaded image.

    Raises:
        ValueError: If one of a schema is higher.

    Examples:
        >>> Limits(upload_bytes=10 * MIB).top
        100
    """

    query_characters: int = 1000
    terms: int = 16
    texts: int = 64
    top: int = 100
    depth: int = 10_000
    compared_depth: int = 1000
    waiting: int = 64
    decodes: int = 2
    decode_seconds: float = 20.0
    decode_bytes: int = 512 * MIB
    strip_frames: int = 24
    height: int = 720
    cache_bytes: int = 64 * MIB
    body_bytes: int = 256 * 1024
    stall_seconds: float = 20.0
    upload_bytes: int = 256 * MIB
    uploads: int = 100
    uploads_bytes: int = 2048 * MIB
    upload_seconds: int = 3600
    image_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        for name in IN_SCHEMAS:
            most, found = getattr(Limits, name), getattr(self, name)
            if found > most:
                raise ValueError(f'{name} can only be lowered: expected at most {most}, got {found}')
