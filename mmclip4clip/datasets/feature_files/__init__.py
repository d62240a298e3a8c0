from .folder import FeatureFolder, prepare_folder, shard_path
from .settings import FeatureMismatchError, FeatureSettings, read_settings
from .shard import FeatureShard, StoredVideo, write_shard

__all__ = [
    'FeatureFolder',
    'FeatureMismatchError',
    'FeatureSettings',
    'FeatureShard',
    'StoredVideo',
    'prepare_folder',
    'read_settings',
    'shard_path',
    'write_shard',
]
