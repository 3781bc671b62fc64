#include "database.hpp"

#include <utility>

#include "sqlite.hpp"

namespace shop {

namespace {

constexpr const char* kSchema = R"(
  CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, brand TEXT NOT NULL,
    description TEXT NOT NULL, cents INTEGER NOT NULL, popularity INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS cart_lines (
    session INTEGER NOT NULL, product INTEGER NOT NULL, quantity INTEGER NOT NULL,
    PRIMARY KEY (session, product)) WITHOUT ROWID)";

constexpr const char* kIndexes = R"(
  CREATE INDEX IF NOT EXISTS by_name ON products (name);
  CREATE INDEX IF NOT EXISTS by_category ON products (category, popularity);
  CREATE INDEX IF NOT EXISTS by_price ON products (category, cents);
  CREATE INDEX IF NOT EXISTS by_brand ON products (category, brand);
  CREATE INDEX IF NOT EXISTS by_popularity ON products (popularity);
  ANALYZE)";

constexpr const char* kEmpty = R"(
  DROP INDEX IF EXISTS by_name; DROP INDEX IF EXISTS by_category; DROP INDEX IF EXISTS by_price;
  DROP INDEX IF EXISTS by_brand; DROP INDEX IF EXISTS by_popularity;
  DELETE FROM products; DELETE FROM cart_lines)";

#define PRODUCT_COLUMNS "id, name, category, brand, description, cents, popularity"

Product product_of(const Query& row) {
  return {.id = row.number(0),
          .name = row.text(1),
          .category = row.text(2),
          .brand = row.text(3),
          .description = row.text(4),
          .cents = row.number(5),
          .popularity = row.number(6)};
}

std::vector<Id> ids_of(Query& rows) {
  std::vector<Id> ids;
  while (rows.next()) ids.push_back(rows.number(0));
  return ids;
}

std::string json_list(std::span<const Id> ids) {
  std::string list;
  for (const Id id : ids) {
    list += list.empty() ? '[' : ',';
    list += std::to_string(id);
  }
  return list.empty() ? "[]" : list += ']';
}

/// The page of a listing, for all brands or one.
const char* page_sql(Order order, bool of_brand) {
  switch (order) {
    case Order::by_name:
      return of_brand ? "SELECT id FROM products WHERE category = ? AND brand = ? ORDER BY name LIMIT ? OFFSET ?"
                      : "SELECT id FROM products WHERE category = ? ORDER BY name LIMIT ? OFFSET ?";
    case Order::cheapest:
      return of_brand ? "SELECT id FROM products WHERE category = ? AND brand = ? ORDER BY cents, id LIMIT ? OFFSET ?"
                      : "SELECT id FROM products WHERE category = ? ORDER BY cents, id LIMIT ? OFFSET ?";
    case Order::popular: break;
  }
  return of_brand
             ? "SELECT id FROM products WHERE category = ? AND brand = ? ORDER BY popularity DESC, id LIMIT ? OFFSET ?"
             : "SELECT id FROM products WHERE category = ? ORDER BY popularity DESC, id LIMIT ? OFFSET ?";
}

}  // namespace

/// A connection for the length of a call; counts what it is asked.
class Database::Borrowed {
 public:
  explicit Borrowed(Database& database) : database_(database) {
    {
      const std::scoped_lock guard(database.mutex_);
      if (!database.idle_.empty()) {
        connection_ = std::move(database.idle_.back());
        database.idle_.pop_back();
        return;
      }
    }
    connection_ = std::make_unique<Connection>(database.path_);
  }
  Borrowed(const Borrowed&) = delete;
  ~Borrowed() {
    const std::scoped_lock guard(database_.mutex_);
    database_.idle_.push_back(std::move(connection_));
  }

  Query query(const char* sql) {
    database_.statements_.fetch_add(1, std::memory_order_relaxed);
    return connection_->query(sql);
  }
  void run(const char* sql) { connection_->run(sql); }

 private:
  Database& database_;
  std::unique_ptr<Connection> connection_;
};

Database::Database(std::string path) : path_(std::move(path)) { Borrowed(*this).run(kSchema); }

Database::~Database() = default;

void Database::import(std::span<const Product> products, const std::function<void(std::size_t)>& progress) {
  Borrowed connection(*this);
  connection.run("BEGIN IMMEDIATE");
  connection.run(kEmpty);
  std::size_t done = 0;
  for (const Product& product : products) {
    connection.query("INSERT INTO products (" PRODUCT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(product.id)
        .bind(product.name)
        .bind(product.category)
        .bind(product.brand)
        .bind(product.description)
        .bind(product.cents)
        .bind(product.popularity)
        .next();
    if (++done % 1000 == 0) progress(done);
  }
  connection.run(kIndexes);
  connection.run("COMMIT");
  progress(done);
}

std::optional<Product> Database::product(Id id) {
  Borrowed connection(*this);
  Query rows = connection.query("SELECT " PRODUCT_COLUMNS " FROM products WHERE id = ?");
  rows.bind(id);
  if (!rows.next()) return std::nullopt;
  return product_of(rows);
}

std::vector<Product> Database::products(std::span<const Id> ids) {
  Borrowed connection(*this);
  const std::string list = json_list(ids);
  Query rows =
      connection.query("SELECT " PRODUCT_COLUMNS " FROM products WHERE id IN (SELECT value FROM json_each(?))");
  rows.bind(list);
  std::vector<Product> products;
  while (rows.next()) products.push_back(product_of(rows));
  return products;
}

std::vector<Category> Database::categories() {
  Borrowed connection(*this);
  Query rows = connection.query("SELECT category, count(*) FROM products GROUP BY category ORDER BY 2 DESC, 1");
  std::vector<Category> categories;
  while (rows.next()) categories.push_back({rows.text(0), rows.number(1)});
  return categories;
}

Listing Database::listing(const Filter& filter) {
  Borrowed connection(*this);
  const bool of_brand = !filter.brand.empty();
  Listing listing;
  {
    Query rows = connection.query(of_brand ? "SELECT count(*) FROM products WHERE category = ? AND brand = ?"
                                           : "SELECT count(*) FROM products WHERE category = ?");
    rows.bind(filter.category);
    if (of_brand) rows.bind(filter.brand);
    if (rows.next()) listing.total = rows.number(0);
  }
  Query rows = connection.query(page_sql(filter.order, of_brand));
  rows.bind(filter.category);
  if (of_brand) rows.bind(filter.brand);
  rows.bind(kPageSize).bind((filter.page - 1) * kPageSize);
  listing.ids = ids_of(rows);
  return listing;
}

std::vector<Id> Database::search(std::string_view prefix, int limit) {
  Borrowed connection(*this);
  const std::string end = std::string(prefix) + "\xf4\x8f\xbf\xbf";  // the last character there is
  Query rows =
      connection.query("SELECT id FROM products WHERE name >= ? AND name < ? ORDER BY popularity DESC, id LIMIT ?");
  rows.bind(prefix).bind(end).bind(limit);
  return ids_of(rows);
}

std::vector<Id> Database::related(const Product& product, int limit) {
  Borrowed connection(*this);
  Query rows = connection.query(
      "SELECT id FROM products WHERE category = ?1 AND id <> ?2 ORDER BY brand = ?3 DESC, popularity DESC, id LIMIT "
      "?4");
  rows.bind(product.category).bind(product.id).bind(product.brand).bind(limit);
  return ids_of(rows);
}

std::vector<Id> Database::bestsellers(int limit) {
  Borrowed connection(*this);
  Query rows = connection.query("SELECT id FROM products ORDER BY popularity DESC, id LIMIT ?");
  rows.bind(limit);
  return ids_of(rows);
}

std::optional<std::string> Database::set_price(Id id, std::int64_t cents) {
  Borrowed connection(*this);
  Query rows = connection.query("UPDATE products SET cents = ? WHERE id = ? RETURNING category");
  rows.bind(cents).bind(id);
  if (!rows.next()) return std::nullopt;
  std::string category = rows.text(0);
  rows.next();  // to its end, so that the change is made
  return category;
}

std::vector<CartRow> Database::cart(std::int64_t session) {
  Borrowed connection(*this);
  Query rows = connection.query("SELECT product, quantity FROM cart_lines WHERE session = ? ORDER BY product");
  rows.bind(session);
  std::vector<CartRow> cart;
  while (rows.next()) cart.push_back({rows.number(0), rows.number(1)});
  return cart;
}

void Database::add_to_cart(std::int64_t session, Id product, std::int64_t quantity) {
  Borrowed connection(*this);
  connection
      .query(
          "INSERT INTO cart_lines VALUES (?, ?, ?) "
          "ON CONFLICT (session, product) DO UPDATE SET quantity = quantity + excluded.quantity")
      .bind(session)
      .bind(product)
      .bind(quantity)
      .next();
}

void Database::clear_carts() { Borrowed(*this).query("DELETE FROM cart_lines").next(); }

}  // namespace shop
