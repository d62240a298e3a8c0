from .folder import FeatureFolder, locked_folder, prepare_folder, shard_path
from .settings import FeatureMismatchError, FeatureSettings, read_settings
from .shard import FeatureShard, StoredVideo, write_shard

__all__ = [
    'FeatureFolder',
    'FeatureMismatchError',
    'FeatureSettings',
    'FeatureShard',
    'StoredVideo',
    'locked_folder',
    'prepare_folder',
    'read_settings',
    'shard_path',
    'write_shard',
]
