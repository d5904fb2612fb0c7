#include "query/named_keys.hpp"

#include <set>

#include "column/dictionary.hpp"

namespace cdp {
namespace {

std::optional<KeyId> find_key(const std::string& key, const Version& version, std::set<std::string>* unknown) {
  if (const auto found = version.keys->find(key)) return KeyId{*found};
  if (unknown != nullptr && !key.empty()) unknown->insert(key);
  return std::nullopt;
}

}  // namespace

std::optional<KeyId> find_property(const std::string& key, const Version& version, const Moment& at) {
  return find_key(key, version, at.mentions == nullptr ? nullptr : &at.mentions->unknown_properties);
}

std::optional<KeyId> find_trait(const std::string& key, const Version& version, const Moment& at) {
  return find_key(key, version, at.mentions == nullptr ? nullptr : &at.mentions->unknown_traits);
}

}  // namespace cdp
