"""A playlist that is named like a video does not make a reader open what it names."""

import os

import av
import pytest

from mmclip4clip.datasets.first_frames import probe_videos
from mmclip4clip.datasets.video_readers import NoVideoError, open_reader
from mmclip4clip.datasets.video_readers.video_streams import open_video, refuse_playlist

PLAYLISTS = dict(
    hls='#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n',
    list='ffconcat version 1.0\nfile {video}\n',
    marked='\ufeff#EXTM3U\n#EXTINF:2,\n{video}\n',
    dash='<?xml version="1.0"?>\n<MPD><BaseURL>{video}</BaseURL></MPD>',
    late='<?xml version="1.0"?>\n<!--' + 9000 * '-' + '-->\n<MPD><BaseURL>{video}</BaseURL></MPD>',
    imf='<?xml version="1.0"?><CompositionPlaylist/>',
    session='v=0\r\nc=IN IP4 127.0.0.1\r\n',
    bare='s=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    subtitles='# VobSub index file, v7 (do not modify this line!)\n',
)


@pytest.mark.parametrize('kind', PLAYLISTS)
def test_playlists_are_refused_by_every_reader(files, tmp_path, kind):
    path = tmp_path / 'a.mp4'
    path.write_text(PLAYLISTS[kind].format(video=files['mp4']), encoding='utf-8')
    for backend in ('pyav', 'decord', 'opencv'):
        with pytest.raises(NoVideoError, match='it is a playlist'):
            open_reader(backend, str(path))
    with pytest.raises(NoVideoError, match='it is a playlist'):
        open_video(str(path))
    assert 'it is a playlist' in probe_videos([str(path)])[str(path)].error


def test_videos_and_pipes_are_none(files, tmp_path):
    assert len(open_reader('pyav', str(files['mp4'])).read([0])) == 1
    video = tmp_path / 'with-a-tag.mp4'
    video.write_bytes(files['mp4'].read_bytes() + b'<MPD #EXTM3U')
    open_video(str(video))[0].close()
    os.mkfifo(tmp_path / 'pipe')  # reading from it would never end
    refuse_playlist(str(tmp_path / 'pipe'))


def test_a_session_that_looks_binary_opens_no_address(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_text(PLAYLISTS['bare'] + '\0')
    with pytest.raises(av.error.InvalidDataError):  # not after a wait for packets from an open port
        open_video(str(path))
