import io

from rich.console import Console
from rich.table import Table

ROWS = {
    '': 'text to video',
    'v2t_': 'video to text',
    'dsl_': 'text to video, dual softmax',
    'dsl_v2t_': 'video to text, dual softmax',
    'qb_': 'text to video, QB-Norm',
}
CAUTION = {
    'dsl_': 'dual softmax uses all queries at once',
    'qb_': 'QB-Norm uses a bank of other captions',
}
CAPTION_COLUMNS = {
    'Bleu_1': 'BLEU-1',
    'Bleu_2': 'BLEU-2',
    'Bleu_3': 'BLEU-3',
    'Bleu_4': 'BLEU-4',
    'METEOR': 'METEOR',
    'ROUGE_L': 'ROUGE-L',
    'CIDEr': 'CIDEr',
}


def format_table(metrics: dict[str, float]) -> str:
    """Format retrieval metrics as a table with one row per direction and post-processing.

    Args:
        metrics (dict[str, float]): Metrics of :func:`retrieval_figures` and :func:`post_processed_figures`.

    Examples:
        >>> metrics = dict(R1=40.0, MdR=2.0, MnR=9.5, v2t_R1=41.0, v2t_MdR=2.0, v2t_MnR=8.0)
        >>> 'text to video │ 40.0' in format_table(metrics)
        True
    """
    columns = [key for key in metrics if f'v2t_{key}' in metrics]
    table = Table(*['', *(f'R@{c[1:]}' if c[0] == 'R' else c for c in columns)])
    for prefix, name in ROWS.items():
        if all(prefix + c in metrics for c in columns):
            table.add_row(name, *(f'{metrics[prefix + c]:.1f}' for c in columns))
    text = _render(table)
    if 'group_R1' in metrics:
        text += f'\nown video first in its group: {metrics["group_R1"]:.1f} % of captions'
    cautions = [why for prefix, why in CAUTION.items() if f'{prefix}MnR' in metrics]
    if cautions:
        text += f'\nnot comparable with the plain rows: {", ".join(cautions)}'
    return text


def format_caption_table(metrics: dict[str, float]) -> str:
    """Format the metrics of generated captions as a table with one row.

    Args:
        metrics (dict[str, float]): Metrics of :func:`score_captions`.

    Examples:
        >>> 'CIDEr' in format_caption_table(dict(METEOR=28.0, CIDEr=50.0))
        True
    """
    names = [name for name in CAPTION_COLUMNS if name in metrics]
    table = Table(*(CAPTION_COLUMNS[name] for name in names))
    table.add_row(*(f'{metrics[name]:.1f}' for name in names))
    text = _render(table)
    if 'METEOR' not in metrics:
        text += '\nwithout Java: a plain tokenizer, no METEOR'
    if metrics.get('empty'):
        text += f'\ngenerated captions without a word, which score 0: {metrics["empty"]:.0f}'
    if metrics.get('unreadable_videos'):
        text += f'\nvideos that cannot be read, which score 0: {metrics["unreadable_videos"]:.0f}'
    return text


def _render(table: Table) -> str:
    text = io.StringIO()
    Console(width=100, file=text).print(table)
    return text.getvalue().rstrip()
