-- Run once, when the data folder is empty. The database `llmscope` is made by the image itself.
-- template0, because the image puts TimescaleDB into template1.
create database dagster template template0;
-- What Dagster notes of its runs may lose its last moment in a crash; the ledger may not.
alter database dagster set synchronous_commit = off;
