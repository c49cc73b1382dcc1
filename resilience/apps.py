import codecs
from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.core.signals import setting_changed

# Python loads these codecs at their first use: by Django's log of a 503, by a look-up of a name. A process
# that has run out of descriptors could not load them.
_NEEDED_IN_OUTAGES = ("unicode_escape", "idna")


class ResilienceConfig(AppConfig):
    name = "resilience"

    def __init__(self, *args: Any) -> None:
        """Refuse settings that ask for an extra which is not installed, before models load the engine."""
        super().__init__(*args)
        from resilience.conf import extras

        extras.refuse_settings_without_their_extra()

    def ready(self) -> None:
        from resilience import registry, signals
        from resilience.alerts import reports
        from resilience.checks import register_all
        from resilience.conf import extras
        from resilience.journal import events
        from resilience.observe import logs
        from resilience.tiers import catalogue_version

        for codec in _NEEDED_IN_OUTAGES:
            codecs.lookup(codec)
        register_all()
        registry.listen(events.heard)
        signals.table_lock.connect(events.table_lock, dispatch_uid="resilience.events")
        reports.install()
        if registry.is_server():
            logs.unblock()
            for module in extras.modules():
                import_module(module)
        catalogue_version.listen()
        if apps.is_installed("django.contrib.auth"):
            from resilience.operate import end_passes

            end_passes.listen()
        setting_changed.connect(_settings_changed, dispatch_uid="resilience.settings")


def _settings_changed(*, setting: str, **_: Any) -> None:
    """Forget the breakers when a test changes the settings from which they are made."""
    from resilience import registry

    if setting == "RESILIENCE":
        registry.forget()
