// Real models against reference logits of their official implementation (float32, weights as decoded from the
// same GGUF). With weights decoded to F32 the graph is held to a tight tolerance; with the quantized weights,
// whose products round activations to 8 bits, to a loose one.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/test_folders.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Golden {
  const char* name;  // of the golden files
  const char* model_file;
  double tight;      // largest difference of a logit, weights as F32
  double loose_nll;  // of the mean negative log-likelihood on a long text, weights as they are
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) {
  return out << golden.name;
}

json read_json(const fs::path& path) {
  std::ifstream in(path);
  return json::parse(in);
}

class GoldenParity : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    model_path_ = models_folder() / GetParam().model_file;
    short_path_ = shared_folder() / "golden" / ("hf_" + std::string(GetParam().name) + ".json");
    long_path_ =
        shared_folder() / "golden" / "wikitext" / ("hf_" + std::string(GetParam().name) + "_long.json");
    if (!fs::exists(model_path_)) GTEST_SKIP() << "no model at " << model_path_;
    if (!fs::exists(short_path_) || !fs::exists(long_path_)) GTEST_SKIP() << "no goldens at " << short_path_;
  }

  std::unique_ptr<RuntimeLanguageModel> load() {
    auto file = GgufFile::open(model_path_);
    if (!file.ok()) {
      ADD_FAILURE() << file.error().message;
      return nullptr;
    }
    auto model = RuntimeLanguageModel::load(std::make_shared<const GgufFile>(std::move(file).value()), {});
    if (!model.ok()) {
      ADD_FAILURE() << model.error().message;
      return nullptr;
    }
    return std::move(model).value();
  }

  // Every matrix decoded to floats; the data lives as long as the test.
  void use_decoded_weights(Decoder& decoder) {
    for (const GgufTensor& tensor : decoder.file().tensors()) {
      if (tensor.dimensions.size() < 2) continue;
      std::vector<float>& values = decoded_.emplace_back(tensor.n_values());
      info(tensor.type).decode(tensor.data.data(), values.data(), values.size());
      Status replaced =
          decoder.replace_weight(tensor.name, TensorType::F32, std::as_bytes(std::span(values)));
      ASSERT_TRUE(replaced.ok()) << replaced.error().message;
    }
  }

  fs::path model_path_, short_path_, long_path_;
  std::vector<std::vector<float>> decoded_;
};

double log_sum_exp(std::span<const float> logits) {
  double most = -INFINITY, sum = 0;
  for (float x : logits) most = std::max(most, double(x));
  for (float x : logits) sum += std::exp(double(x) - most);
  return most + std::log(sum);
}

// Mean negative log-likelihood of the tokens after the first.
double mean_nll(LanguageModel& model, const std::vector<Token>& ids) {
  double total = 0;
  Status status = model.evaluate(ids, 0, [&](size_t p, std::span<const float> logits) {
    if (p + 1 < ids.size()) total += log_sum_exp(logits) - double(logits[size_t(ids[p + 1])]);
    return Status();
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
  return total / double(ids.size() - 1);
}

TEST_P(GoldenParity, DecodedWeightsGiveTheReferenceLogits) {
  auto model = load();
  ASSERT_TRUE(model);
  ASSERT_NO_FATAL_FAILURE(use_decoded_weights(model->decoder()));
  double worst = 0, worst_sum = 0;
  json golden = read_json(short_path_);
  ASSERT_FALSE(golden["prompts"].empty());
  for (const json& prompt : golden["prompts"]) {
    auto ids = prompt["ids"].get<std::vector<Token>>();
    Status status = model->evaluate(ids, 0, [&](size_t p, std::span<const float> logits) {
      for (size_t i = 0; i < prompt["top20_ids"][p].size(); ++i) {
        double wanted = prompt["top20_logits"][p][i], got = logits[prompt["top20_ids"][p][i].get<size_t>()];
        worst = std::max(worst, std::abs(got - wanted));
      }
      worst_sum = std::max(worst_sum, std::abs(log_sum_exp(logits) - prompt["logsumexp"][p].get<double>()));
      return Status();
    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_NEAR(mean_nll(*model, ids), prompt["mean_nll"].get<double>(), GetParam().tight / 10);
  }
  EXPECT_LE(worst, GetParam().tight);
  EXPECT_LE(worst_sum, GetParam().tight);
  RecordProperty("worst_logit_difference", std::to_string(worst));
}

TEST_P(GoldenParity, DecodedWeightsGiveTheReferenceBlockInfluence) {
  auto model = load();
  ASSERT_TRUE(model);
  ASSERT_NO_FATAL_FAILURE(use_decoded_weights(model->decoder()));
  json prompt = read_json(short_path_)["prompts"][0];
  auto ids = prompt["ids"].get<std::vector<Token>>();
  const Hyperparameters& h = model->decoder().hyperparameters();
  std::vector<float> before;
  std::vector<double> influence(h.n_layers + 1);
  model->decoder().set_observers(
      {.on_product_input = {}, .on_hidden = [&](uint32_t layer, size_t, const float* x, size_t n_tokens) {
         for (size_t t = 0; layer > 0 && t < n_tokens; ++t) {
           double xy = 0, xx = 0, yy = 0;
           for (size_t i = t * h.n_embedding; i < (t + 1) * h.n_embedding; ++i) {
             xy += double(before[i]) * double(x[i]);
             xx += double(before[i]) * double(before[i]);
             yy += double(x[i]) * double(x[i]);
           }
           influence[layer - 1] += (1 - xy / std::sqrt(xx * yy)) / double(n_tokens);
         }
         before.assign(x, x + n_tokens * h.n_embedding);
       }});
  ASSERT_TRUE(model->evaluate(ids, ids.size(), {}).ok());
  for (uint32_t layer = 0; layer < h.n_layers; ++layer)
    EXPECT_NEAR(influence[layer], prompt["block_influence"][layer].get<double>(), 2e-3) << "layer " << layer;
}

TEST_P(GoldenParity, QuantizedWeightsGiveNearlyTheReferenceLikelihoodOfALongText) {
  auto model = load();
  ASSERT_TRUE(model);
  json golden = read_json(long_path_);
  double nll = mean_nll(*model, golden["ids"].get<std::vector<Token>>());
  EXPECT_NEAR(nll, golden["mean_nll"].get<double>(), GetParam().loose_nll);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenParity,
                         testing::Values(Golden{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", 2e-2, 0.02},
                                         Golden{"qwen2.5-coder-0.5b", "Qwen2.5-Coder-0.5B-Instruct.Q4.gguf",
                                                4e-2, 0.02},
                                         Golden{"gemma3-270m", "gemma-3-270m.Q4_K_M.gguf", 5e-2, 0.02}),
                         [](const testing::TestParamInfo<Golden>& info) {
                           std::string name = info.param.name;
                           std::erase_if(name,
                                         [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                           return name;
                         });

}  // namespace
}  // namespace edgellm
