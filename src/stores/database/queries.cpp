#include "queries.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

namespace {

/// The exclusive or of two integers, by operators that every engine has; no step leaves 64 bits.
std::string exclusive_or(const std::string& a, const std::string& b) {
  return "((" + a + "|" + b + ")-(" + a + "&" + b + "))";
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '.' ? std::string("\".\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

Queries::Queries(std::string_view name, const Dialect& dialect) : table(name), meta_table(table + "_meta") {
  const std::string rows = quoted(table);
  const std::string meta = quoted(meta_table);
  const std::string bytes = dialect.bytes;
  // Inside an upsert the standing row is named by the table alone, without its schema.
  const std::string standing = quoted(name.substr(name.find('.') == name.npos ? 0 : name.find('.') + 1)) + ".";

  // Columns that may not be null would have SQLite keep the old page of each row in a batch, to undo the statement.
  // What is null, or anything else that is not ours, does not agree with the proof.
  create = {
      "CREATE TABLE " + rows + " (id " + dialect.row_key +
          ", home BIGINT, version BIGINT, fresh_until BIGINT, keep_until BIGINT, kind BIGINT, number BIGINT, proof "
          "BIGINT, key " +
          bytes + ", labels " + bytes + ", value " + bytes + ")",
      "CREATE TABLE " + meta + " (id " + dialect.row_key + ", name " + bytes + " NOT NULL, number BIGINT NOT NULL)"};
  drop = {"DROP TABLE IF EXISTS " + rows, "DROP TABLE IF EXISTS " + meta};
  const std::string brief = quoted(table + "_brief");
  stir = {"CREATE TABLE " + brief + " (id BIGINT)", "DROP TABLE " + brief};

  const std::string home = "flux_home(?2)";
  const std::string bucket = "id BETWEEN ?1 AND ?1+7";
  const std::string mine = bucket + " AND key=?3 AND home=" + home;
  const std::string flushed = "home NOT IN (SELECT number FROM " + meta + ")";
  const std::string columns = "version,fresh_until,keep_until,kind,number,proof,labels,value";
  // A row has a number or bytes, so one column serves for both.
  const std::string seen = "version,fresh_until,keep_until,kind,proof,labels,coalesce(value,number)";
  probe = "SELECT id,home,key," + columns + " FROM " + rows;
  const auto find = [&](const std::string& wanted) {
    return "SELECT " + wanted + " FROM " + rows + " WHERE " + bucket + " AND key=?2";
  };
  const std::string insert = "INSERT INTO " + rows + " (id,home,key," + columns + ") ";
  const std::string upsert = " ON CONFLICT (id) DO UPDATE SET ";
  const auto values = [&](const std::string& id, const std::string& in) {
    return "VALUES (" + id + "," + in + ",?3,?4,?5,?6,?7,?8,?9,?10,?11)" + upsert;
  };
  const auto present_id = [&](const std::string& in, const std::string& otherwise) {
    return "coalesce((SELECT id FROM " + rows + " WHERE " + bucket + " AND key=?3 AND home=" + in + ")," + otherwise +
           ")";
  };
  const std::string same = standing + "key=excluded.key AND " + standing + "home=excluded.home";
  const std::string sum = "(" + standing + "number+?13)";

  const auto set = [&](Query query, std::string sql) { text[static_cast<std::size_t>(query)] = std::move(sql); };
  set(Query::begin_read, "BEGIN");
  set(Query::begin_write, "BEGIN IMMEDIATE");
  set(Query::commit, "COMMIT");
  set(Query::rollback, "ROLLBACK");
  set(Query::get_first, "SELECT " + seen + ",home,key FROM " + rows + " WHERE id=?1");
  set(Query::get_fed,
      "SELECT " + seen + ",home,key,fed.rowid FROM flux_cache_fed_rows AS fed CROSS JOIN " + rows + " WHERE id=fed.c0");
  set(Query::get, find(seen + ",home"));
  set(Query::has, find("version,fresh_until,keep_until,home"));
  const std::string replace =
      "home=excluded.home,key=excluded.key,version=excluded.version,fresh_until=excluded.fresh_until,"
      "keep_until=excluded.keep_until,kind=excluded.kind,number=excluded.number,proof=excluded.proof,"
      "labels=excluded.labels,value=excluded.value WHERE (" +
      same + " AND " + standing + "fresh_until<=?14) OR " + standing + "keep_until<=?12 OR " + standing + flushed;
  set(Query::put, insert + values("?1", "flux_sole_home(?2)") + replace);
  set(Query::put_fed,
      insert + "SELECT c0,?2,c1,c2,c3,c4,c5,c6,c7,c8,c9 FROM flux_cache_fed_rows WHERE true" + upsert + replace);
  set(Query::put_beside, insert + values(present_id("?2", "?13"), "?2") + replace);
  set(Query::update, "UPDATE " + rows +
                         " SET version=?4,fresh_until=?5,keep_until=?6,kind=?7,number=?8,proof=?9,labels=?10,value=?11"
                         " WHERE " +
                         mine + " AND fresh_until>?12 AND keep_until>?13 AND (?14=0 OR version=?14)");
  set(Query::forget,
      "DELETE FROM " + rows + " WHERE " + mine + " AND (?4=0 OR version=?4) RETURNING fresh_until,keep_until");
  set(Query::pull, "DELETE FROM " + rows + " WHERE " + mine + " RETURNING " + seen);
  set(Query::touch, "UPDATE " + rows + " SET version=?4,fresh_until=?5,keep_until=?6,proof=" +
                        exclusive_or(exclusive_or("proof", exclusive_or("fresh_until", "keep_until")), "?7") +
                        " WHERE " + mine + " AND fresh_until>?8");
  set(Query::count, "UPDATE " + rows +
                        " SET version=?4,number=number+?5,proof=flux_counted_proof() WHERE id=?1 AND "
                        "key=?3 AND home=" +
                        home + " AND flux_may_count(fresh_until,keep_until,kind,number,proof,labels)");
  set(Query::increment, insert + values(present_id(home, "?1"), home) + "version=excluded.version,number=" + sum +
                            ",proof=" + exclusive_or(standing + "proof", exclusive_or(standing + "number", sum)) +
                            " WHERE " + same + " AND " + standing + "kind=1 AND " + standing + "fresh_until>?12 AND " +
                            standing + "number BETWEEN ?14 AND ?15 RETURNING " + seen);
  set(Query::forget_row, "DELETE FROM " + rows + " WHERE " + bucket + " AND version=?2");
  set(Query::rehome, "UPDATE " + rows + " SET home=?2 WHERE home=?1");
  set(Query::bucket, "SELECT id, keep_until<=?2 OR " + flushed + " FROM " + rows + " WHERE " + bucket + " ORDER BY id");
  set(Query::scan, "SELECT " + seen + ",id,key FROM " + rows + " WHERE id>?1 AND home=(SELECT number FROM " + meta +
                       " WHERE id=?2) AND keep_until>?3 ORDER BY id LIMIT ?4");
  set(Query::look, "SELECT id,keep_until,home FROM " + rows + " WHERE id>?1 ORDER BY id");
  set(Query::homes, "SELECT number FROM " + meta);
  set(Query::reclaim, "DELETE FROM " + rows + " WHERE id>?1 AND id<=?2 AND (keep_until<=?3 OR " + flushed + ")");
  set(Query::flush, "UPDATE " + meta + " SET number=?2 WHERE id=?1");
  set(Query::meta, "SELECT number,name FROM " + meta + " WHERE id=?1");
  set(Query::meta_always,
      "INSERT INTO " + meta +
          " (id,name,number) VALUES (?1,?2,?3) ON CONFLICT (id) DO UPDATE SET number=excluded.number");
  set(Query::meta_if_new, "INSERT INTO " + meta + " (id,name,number) VALUES (?1,?2,?3) ON CONFLICT (id) DO NOTHING");
}

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
