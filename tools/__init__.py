"""Command lines; installed as ``mmlpcam.tools``."""
