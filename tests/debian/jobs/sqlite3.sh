sqlite3 s.db <sqlite.sql; rm -f s.db
