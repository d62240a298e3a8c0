from ..datasets.conftest import files  # noqa: F401  the fixture
