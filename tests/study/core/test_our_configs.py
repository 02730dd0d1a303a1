from dataclasses import fields

from trainers.stage import Config


def every_subclass(cls: type) -> set[type]:
    return {cls}.union(*(every_subclass(sub) for sub in cls.__subclasses__()))


def test_no_two_of_our_configs_have_one_name():
    import search_spaces.studies.catalogue  # noqa: F401
    import trainers.data.datasets.frame_folders  # noqa: F401

    ours = [cls for cls in every_subclass(Config) if cls.__module__.startswith("trainers")]
    names = [cls.__name__ for cls in ours if "__dataclass_params__" in vars(cls)]
    assert len(names) > 10
    assert len(set(names)) == len(names)


def test_every_config_of_ours_is_a_frozen_dataclass():
    import search_spaces.studies.catalogue  # noqa: F401

    for cls in every_subclass(Config):
        if (
            cls.__module__.startswith("trainers")
            and not getattr(cls, "__abstractmethods__", None)
            and cls is not Config
        ):
            assert vars(cls)["__dataclass_params__"].frozen, cls
            assert isinstance(cls.revision, int)
            assert "revision" not in {f.name for f in fields(cls)}, cls
