"""Compare a training step with mmaction2's CLIPSimilarity, a plain reference, and the machine, in one run.

Each trains ViT-B/32 with random weights and mean pooling in fp32 in a process of its own, on the same batch,
in turns. The batch has random patterns as frames, and random captions as long as real ones, or as those of
--annotations. The limit is the number of operations of the step, counted by torch, divided by the rate of
matrix products that was measured between the steps.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

KINDS = dict(
    mmclip4clip='training_contenders:OurTraining',
    stock='training_contenders:StockTraining',
    reference='training_contenders:ReferenceTraining',
)
LENGTHS = (8, 9, 10, 11, 11, 12, 14, 18)  # tokens with start and end
COMPARED = {  # parameter of clip.pt: of ours, and whether it is transposed
    'visual.transformer.resblocks.0.mlp.c_fc.weight': ('vision_model.encoder.layers.0.mlp.fc1.weight', False),
    'visual.proj': ('visual_projection.weight', True),
    'transformer.resblocks.0.mlp.c_fc.weight': ('text_model.encoder.layers.0.mlp.fc1.weight', False),
    'text_projection': ('text_projection.weight', True),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--against',
        nargs='*',
        choices=['stock', 'reference'],
        default=['stock', 'reference'],
        help='what is compared; each needs the package clip (default: %(default)s)',
    )
    parser.add_argument('--batch-size', type=int, default=8, help='videos per batch (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='timed steps of each (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (default: %(default)s)')
    parser.add_argument(
        '--annotations', type=Path, help='take the lengths of its captions (default: LENGTHS)'
    )
    return parser.parse_args()


def make_batch(args: argparse.Namespace) -> dict:
    """Return random frames, and random tokens with a start, an end and the lengths of real captions."""
    import torch

    torch.manual_seed(0)
    lengths = [LENGTHS[i % len(LENGTHS)] for i in range(args.batch_size)]
    if args.annotations:
        captions = [text for texts in json.loads(args.annotations.read_text()).values() for text in texts]
        step = max(1, len(captions) // args.batch_size)
        # A word is about one token.
        lengths = [min(32, len(text.split()) + 2) for text in captions[::step]][: args.batch_size]
    tokens = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(tokens, lengths):
        row[:length] = torch.randint(49406, (length,))
        row[0], row[length - 1] = 49406, 49407
    # Coarse patterns: the features of fine noise are all alike, so that gradients would be rounding errors.
    coarse = torch.randint(256, (args.batch_size, args.frames, 3, 7, 7), dtype=torch.uint8)
    frames = coarse.repeat_interleave(32, -1).repeat_interleave(32, -2)
    return dict(imgs=frames, tokens=tokens, lengths=lengths)


def count_operations(folder: Path, batch: dict) -> float:
    """Return the operations of forward and backward of our step, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode
    from training_contenders import OurTraining

    training = OurTraining(folder, batch, 2)
    with FlopCounterMode(display=False) as counter:
        training.gradients({})
    return counter.get_total_flops()


def compare_gradients(found: dict[str, list], names: list[str]) -> str:
    """Return the largest difference of our gradients and the reference's, relative to the largest."""
    pairs = zip(found['mmclip4clip'], found['reference'])
    errors = [float(abs(ours - theirs).max() / abs(theirs).max()) for ours, theirs in pairs]
    return (
        f'gradients of {len(names)} tensors: largest relative difference to the reference {max(errors):.1e}'
    )


def main(args: argparse.Namespace) -> None:
    import torch
    from benchmark_machine import sgemm_rate
    from contenders import Contender, check_clip, write_weights

    check_clip(args.against)
    torch.set_num_threads(args.threads)
    batch = make_batch(args)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tower = dict(num_hidden_layers=args.layers)
        write_weights(folder, text_config=tower, vision_config=tower)
        operations = count_operations(folder, batch)
        names = ['mmclip4clip', *args.against]
        running = {name: Contender(KINDS[name], folder, batch, args.threads) for name in names}
        if 'reference' in running:
            ours = {f'backbone.clip.{name}': flip for name, flip in COMPARED.values()}
            found = dict(
                mmclip4clip=running['mmclip4clip'].call('gradients', ours)[0],
                reference=running['reference'].call('gradients', list(COMPARED))[0],
            )
            print(compare_gradients(found, list(COMPARED)))
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        rates = []
        for turn in range(args.rounds + 1):
            for name, contender in running.items():
                rates.append(sgemm_rate())
                _, wall, cpu = contender.call('step')
                if turn:  # the first one warms up
                    seconds[name].append((wall, cpu))
        for contender in running.values():
            contender.close()
    report(args, operations, statistics.median(rates), seconds)


def report(args: argparse.Namespace, operations: float, rate: float, seconds: dict) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    limit = operations / rate
    table = Table('step', 's', 'CPU s', 'time of mmclip4clip', 'of the limit')
    first = statistics.median(wall for wall, _ in seconds['mmclip4clip'])
    for name, pairs in seconds.items():
        wall, cpu = (statistics.median(column) for column in zip(*pairs))
        table.add_row(
            name, f'{wall:.2f}', f'{cpu:.2f}', f'{wall / first:.2f} x', f'{100 * limit / wall:.0f} %'
        )
    Console().print(table)
    print(
        f'{args.batch_size} videos of {args.frames} frames, {args.layers} layers, '
        f'median of {args.rounds} steps; {operations / 1e9:,.0f} GFLOP at {rate / 1e9:.0f} GFLOP/s '
        f'are {limit:.2f} s'
    )


if __name__ == '__main__':
    main(parse_args())
