-- What the jobs ask of Spark, on rows of no matter: every kind of plan that occurs in them, once.
create or replace temporary view parts as
select id, cast(id % 7 as string) as name, cast(id / 3 as decimal(18, 4)) as amount, id % 3 = 0 as gone,
       date_add(date'2026-01-01', cast(id % 40 as int)) as day,
       timestampadd(second, id, timestamp'2026-01-01 00:00:00') as at
from range(1000);

create or replace temporary view latest as
select * except (place)
from (select *, row_number() over (partition by name, day order by at desc nulls last, id) as place from parts)
where place = 1;

insert overwrite directory '${folder}/parquet' using parquet select * from latest;
select count(*), count(distinct struct(*)) from parquet.`${folder}/parquet`;
insert overwrite directory '${folder}/json' using json select * from latest;
select count(*), count(distinct struct(*)) from json.`${folder}/json`;
insert overwrite directory '${folder}/csv' using csv select * from latest;
select count(*), count(distinct struct(*)) from csv.`${folder}/csv`;

create table delta.`${folder}/table` using delta as select * from latest;
insert into delta.`${folder}/table` replace where day >= '2026-02-01' select * from parts where day >= '2026-02-01';
merge into delta.`${folder}/table` as t using (select * from latest where id > 990) as s
    on t.id = s.id and t.day > '2026-01-09'
    when matched and s.gone then delete
    when matched and t.at < s.at then update set *
    when not matched then insert *;
optimize delta.`${folder}/table` zorder by (id);

select name, count(distinct day), max_by(id, at), sum(amount) from delta.`${folder}/table` group by name order by name;
select /*+ broadcast(b) */ a.id, lag(max(b.at)) over (order by a.id)
from delta.`${folder}/table` a left join parts b on a.id = b.id and a.day <= b.day group by a.id;
select /*+ merge(b) */ a.id, b.at from delta.`${folder}/table` a left join parts b on a.id = b.id;
select /*+ shuffle_hash(b) */ a.id, b.at from delta.`${folder}/table` a join parts b on a.id = b.id;
select id from parts left anti join delta.`${folder}/table` using (id)
union all
select id from latest where name rlike '^a';
select to_json(struct(*)), sha2(name, 256), regexp_replace(trim(upper(name)), '[^A-Z]', '') from parts;
