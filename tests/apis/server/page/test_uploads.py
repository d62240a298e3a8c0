"""Searching with files that are dropped or chosen."""

from ..serving import write_clip
from .browser import red_png

DROP = """([name, type, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    for (const kind of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(kind, options));
}"""


def test_a_dropped_image_is_searched_with_alone_and_with_words(visit):
    opened = visit()
    page = opened.page
    page.evaluate(DROP, ['red <b>.png', 'image/png', list(red_png())])
    page.wait_for_selector('.chip canvas')
    page.wait_for_selector('.card')
    assert page.text_content('.chip-name') == 'red <b>.png' and page.locator('#drop').is_hidden()
    with page.expect_request('**/search') as asked:
        opened.search('moon')
    sent = asked.value.post_data_json
    assert sent['query'] == 'moon' and [upload['weight'] for upload in sent['uploads']] == [1]
    with page.expect_request('**/search') as asked:
        page.click('.chip .sign')
    assert [upload['weight'] for upload in asked.value.post_data_json['uploads']] == [-1]
    page.click('.chip .remove')
    page.wait_for_selector('.chip', state='detached')
    assert page.url.endswith('?q=moon')


def test_a_chosen_video_is_searched_with(visit, tmp_path):
    page = visit().page
    page.set_input_files('#file', write_clip(tmp_path / 'clip.mp4'))
    page.wait_for_selector('.card')
    assert page.text_content('.chip .kind') == 'video'


def test_a_file_that_is_neither_image_nor_video_is_refused_in_words(visit, tmp_path):
    (tmp_path / 'notes.txt').write_text('dog')
    page = visit().page
    page.set_input_files('#file', tmp_path / 'notes.txt')
    page.wait_for_selector('#error[role=alert] p')
    assert 'image' in page.text_content('#error') and not page.locator('.chip').count()
