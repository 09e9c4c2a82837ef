-- SPDX-License-Identifier: MIT
-- An analytical query through the whole table, for sysbench beside its point selects.
sysbench.cmdline.options = {
   table_size = {"Rows of the table", 20000},
}

local connection

function thread_init()
   connection = sysbench.sql.driver():connect()
end

function event()
   connection:query("SELECT COUNT(*), SUM(k * 1.5), AVG(LENGTH(c)), MAX(pad) FROM sbtest1 WHERE c LIKE '%abc%' OR k % 7 = 3")
end

function thread_done()
   connection:disconnect()
end
