// nlohmann/json by itself, over its DOM, as its manual shows it.
#include <nlohmann/json.hpp>

#include "peers.hpp"

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Product, id, name, sku, description, price, weight, stock, active, tags, attributes,
                                   brand, category, rating, views, updated)

std::string nlohmann_encode(const Product& product) { return nlohmann::json(product).dump(); }
std::string nlohmann_encode(const std::vector<double>& numbers) { return nlohmann::json(numbers).dump(); }

void nlohmann_decode(const std::string& bytes, Product& product) {
  product = nlohmann::json::parse(bytes).get<Product>();
}
void nlohmann_decode(const std::string& bytes, std::vector<double>& numbers) {
  numbers = nlohmann::json::parse(bytes).get<std::vector<double>>();
}
