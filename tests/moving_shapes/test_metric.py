import pytest
from mmaction.registry import METRICS


def sample(generated, captions=('a red star grows', 'one star coloured red gets bigger'), **kwargs):
    return dict(video_id='v', filename='v.mp4', captions=list(captions), generated=generated, **kwargs)


def evaluate(samples):
    metric = METRICS.build(dict(type='MovingShapesCaptionMetric'))
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_each_thing_counts_and_all_of_them_together():
    figures = evaluate(
        [
            sample('the red star gets bigger'),
            sample('a red ring grows'),
            sample('a blue star shrinks'),
            sample('a red blue star grows'),
            sample(''),
        ]
    )
    assert figures == {
        'shapes/colour': 40.0,
        'shapes/shape': 60.0,
        'shapes/motion': 60.0,
        'shapes/all_right': 20.0,
    }


def test_a_video_that_could_not_be_read_counts_as_wrong():
    figures = evaluate([sample('a red star grows'), sample('a red star grows', unreadable='empty')])
    assert set(figures.values()) == {50.0}


@pytest.mark.parametrize(
    'captions', [['a man cooks'], ['a red star'], ['a red star grows', 'a blue star grows'], []]
)
def test_references_that_do_not_say_what_is_right_are_refused(captions):
    with pytest.raises(ValueError, match="video 'v': expected references that name one colour"):
        evaluate([sample('a red star grows', captions)])


def test_a_model_that_generates_nothing_is_named_as_the_cause():
    wrong = sample('')
    del wrong['generated']
    with pytest.raises(KeyError, match='not a captioner.*remove MovingShapesCaptionMetric'):
        evaluate([wrong])
