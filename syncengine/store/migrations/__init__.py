"""Migrations, one package for each chain of tables; see `syncengine.store.engine`."""
