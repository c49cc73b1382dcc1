"""An app whose one migration takes five times as long as a server's statement may."""
