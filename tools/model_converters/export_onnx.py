"""Export a model to ONNX, to search without torch."""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint, or folder or name of a pretrained encoder')
    parser.add_argument('folder', help='folder to write: new, empty, or an earlier export')
    parser.add_argument('--config', help='config of the model (default: that in the checkpoint)')
    parser.add_argument(
        '--int8', action='store_true', help='keep the matrices of the towers in 8 bits (default: 32)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import mmclip4clip
    from mmclip4clip.apis import export_onnx

    model = mmclip4clip.load(args.checkpoint, args.config, device='cpu')
    folder = export_onnx(model, args.folder, args.int8)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    print(f'{folder}: {size:.1f} MiB. Use it as: mmclip4clip search ... --model {folder}')


if __name__ == '__main__':
    main()
