// The layers that must not show: under each of them a store passes what it passes bare.
#include <flux/cache/decorator.hpp>
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/testing/store_contract.hpp>

#include <array>

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace {

using Wrap = StorePtr (*)(StorePtr inner, const Clock& clock);

struct Layer {
  const char* name;
  Wrap wrap;  // answers null where the layer has no place over the store
  const char* needs = "";
};

StorePtr at_border(StorePtr inner) {
  return inner->traits().objects ? std::move(inner) : make_serialized(std::move(inner));
}

// A plain Decorator runs every compound operation through the five: it proves them, and the contract's own defaults.
constexpr std::array kLayers{
    Layer{"PassThrough",
          [](StorePtr inner, const Clock&) -> StorePtr { return std::make_shared<Decorator>(std::move(inner)); }},
    Layer{"Chaos", [](StorePtr inner, const Clock&) -> StorePtr { return make_chaos(std::move(inner), {}); }},
    Layer{"Serialized", [](StorePtr inner, const Clock&) { return make_serialized(std::move(inner)); }},
    Layer{"Tagged",
          [](StorePtr inner, const Clock& clock) -> StorePtr {
            if (inner->traits().tags) return nullptr;
            return make_tagged(at_border(std::move(inner)), {.clock = &clock});
          },
          "a store that leaves tags to the layer"},
};

}  // namespace

std::vector<ContractParam> pipelines_of(const ContractParam& bare) {
  std::vector<ContractParam> all{bare};
  for (const Layer& layer : kLayers) {
    const auto under = [layer](const std::function<StorePtr(const Clock&)>& make) {
      return [layer, make](const Clock& clock) {
        StorePtr inner = make(clock);
        return inner != nullptr ? layer.wrap(std::move(inner), clock) : nullptr;
      };
    };
    ContractParam param = bare;
    param.layers = layer.name;
    if (*layer.needs != '\0') param.needs += (param.needs.empty() ? "" : ", and ") + std::string(layer.needs);
    param.make = under(bare.make);
    if (bare.again) param.again = under(bare.again);
    all.push_back(std::move(param));
  }
  return all;
}

std::string pipeline_name(const ::testing::TestParamInfo<ContractParam>& info) {
  return info.param.layers.empty() ? "Bare" : info.param.layers;
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
