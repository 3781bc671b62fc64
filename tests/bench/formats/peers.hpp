// The libraries that formats are measured against, each in a file of its own.
#pragma once
#include "product.hpp"

std::string msgpack_encode(const Product& product);
std::string msgpack_encode(const std::vector<double>& numbers);
void msgpack_decode(const std::string& bytes, Product& product);
void msgpack_decode(const std::string& bytes, std::vector<double>& numbers);
/// With the names of the fields, as our msgpack has them.
std::string msgpack_encode_map(const Product& product);
void msgpack_decode_map(const std::string& bytes, Product& product);

std::string nlohmann_encode(const Product& product);
std::string nlohmann_encode(const std::vector<double>& numbers);
void nlohmann_decode(const std::string& bytes, Product& product);
void nlohmann_decode(const std::string& bytes, std::vector<double>& numbers);
