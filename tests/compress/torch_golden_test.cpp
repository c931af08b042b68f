// The trainable model on real models against recorded outputs of their official implementation (float32,
// weights as decoded from the same GGUF): logits, likelihoods, the output of every layer, Block Influence.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compress/torch_model/torch_model.h"
#include "core/base/test_folders.h"

namespace edgellm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Golden {
  const char* name;  // of the golden files
  const char* model_file;
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) {
  return out << golden.name;
}

at::Tensor tensor_of(const json& values) {
  auto numbers = values.get<std::vector<double>>();
  at::Tensor tensor = at::empty({int64_t(numbers.size())}, at::kDouble);
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<double>());
  return tensor;
}

// Figures of one text, computed with one layer in memory at a time.
struct Computed {
  at::Tensor logits;               // [n_tokens, n_vocabulary]
  at::Tensor nll;                  // [n_tokens - 1]
  std::vector<at::Tensor> hidden;  // of each layer's output, [n_tokens, n_embedding]
  std::vector<double> influence;   // of each layer
};

double largest_difference(const at::Tensor& got, const json& wanted) {
  return (got.to(at::kDouble) - tensor_of(wanted)).abs().max().item<double>();
}

class TorchGolden : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    fs::path model_path = models_folder() / GetParam().model_file;
    short_path_ = shared_folder() / "golden" / ("hf_" + std::string(GetParam().name) + ".json");
    long_path_ =
        shared_folder() / "golden" / "wikitext" / ("hf_" + std::string(GetParam().name) + "_long.json");
    if (!fs::exists(model_path)) GTEST_SKIP() << "no model at " << model_path;
    if (!fs::exists(short_path_) || !fs::exists(long_path_)) GTEST_SKIP() << "no goldens at " << short_path_;
    auto file = GgufFile::open(model_path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto model = TorchModel::open(std::make_shared<const GgufFile>(std::move(file).value()), {});
    ASSERT_TRUE(model.ok()) << model.error().message;
    model_ = std::move(model).value();
  }

  static json read(const fs::path& path) {
    std::ifstream in(path);
    return json::parse(in);
  }

  // Of several texts at once: each layer is decoded once.
  std::vector<Computed> compute(const std::vector<std::vector<Token>>& texts) {
    at::NoGradGuard no_grad;
    std::vector<Computed> all(texts.size());
    std::vector<at::Tensor> states;
    for (const std::vector<Token>& text : texts) states.push_back(model_->embed({&text, 1}).value());
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer) {
      auto loaded = model_->load_layer(layer);
      EXPECT_TRUE(loaded.ok()) << loaded.error().message;
      for (size_t i = 0; i < texts.size(); ++i) {
        at::Tensor output = loaded->forward(states[i], model_->positions(int64_t(texts[i].size())));
        at::Tensor cosine =
            at::cosine_similarity(states[i].to(at::kDouble), output.to(at::kDouble), -1, 1e-30);
        all[i].influence.push_back(1 - cosine.mean().item<double>());
        states[i] = output;
        all[i].hidden.push_back(output[0]);
      }
    }
    auto head = model_->load_head();
    EXPECT_TRUE(head.ok()) << head.error().message;
    for (size_t i = 0; i < texts.size(); ++i) {
      all[i].logits = head->logits(states[i])[0];
      int64_t n = int64_t(texts[i].size()) - 1;
      at::Tensor next = at::empty({n, 1}, at::kLong);
      std::copy(texts[i].begin() + 1, texts[i].end(), next.data_ptr<int64_t>());
      all[i].nll = -all[i].logits.narrow(0, 0, n).log_softmax(-1).gather(1, next).squeeze(1);
    }
    return all;
  }

  fs::path short_path_, long_path_;
  std::unique_ptr<TorchModel> model_;
};

TEST_P(TorchGolden, LogitsLayersAndBlockInfluenceAreTheRecordedOnes) {
  json golden = read(short_path_);
  std::vector<std::vector<Token>> texts;
  for (const json& prompt : golden["prompts"]) texts.push_back(prompt["ids"].get<std::vector<Token>>());
  ASSERT_FALSE(texts.empty());
  std::vector<Computed> computed = compute(texts);
  double worst_logit = 0, worst_nll = 0, worst_influence = 0, worst_hidden = 0, worst_norm = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const json& prompt = golden["prompts"][i];
    const Computed& c = computed[i];
    for (int64_t p = 0; p < c.logits.size(0); ++p) {
      at::Tensor ids = tensor_of(prompt["top20_ids"][size_t(p)]).to(at::kLong);
      worst_logit = std::max(worst_logit, largest_difference(c.logits[p].index_select(0, ids),
                                                             prompt["top20_logits"][size_t(p)]));
    }
    worst_nll = std::max(worst_nll, largest_difference(c.nll, prompt["nll"]));
    for (size_t layer = 0; layer < c.hidden.size(); ++layer) {
      worst_influence = std::max(
          worst_influence, std::abs(c.influence[layer] - prompt["block_influence"][layer].get<double>()));
      at::Tensor last = c.hidden[layer][-1];
      double length = last.norm().item<double>();
      double wanted = prompt["layer_output_last_token_norm"][layer];
      worst_norm = std::max(worst_norm, std::abs(length / wanted - 1));
      worst_hidden = std::max(
          worst_hidden,
          largest_difference(last.narrow(0, 0, 8), prompt["layer_output_last_token_first8"][layer]) / wanted);
    }
  }
  EXPECT_LE(worst_logit, 1e-3);
  EXPECT_LE(worst_nll, 5e-4);
  EXPECT_LE(worst_influence, 1e-5);
  EXPECT_LE(worst_hidden, 1e-5);
  EXPECT_LE(worst_norm, 1e-5);
  RecordProperty("worst_logit_difference", std::to_string(worst_logit));
  std::printf("worst: logit %.2g, nll %.2g, influence %.2g, hidden %.2g, norm %.2g\n", worst_logit, worst_nll,
              worst_influence, worst_hidden, worst_norm);
}

TEST_P(TorchGolden, LikelihoodsOfALongTextAreTheRecordedOnes) {
  json golden = read(long_path_);
  std::vector<Computed> computed = compute({golden["ids"].get<std::vector<Token>>()});
  double worst = largest_difference(computed[0].nll, golden["nll"]), worst_influence = 0;
  for (size_t layer = 0; layer < model_->n_layers(); ++layer)
    worst_influence = std::max(worst_influence, std::abs(computed[0].influence[layer] -
                                                         golden["block_influence"][layer].get<double>()));
  EXPECT_LE(worst, 1e-3);
  EXPECT_LE(worst_influence, 1e-5);
  std::printf("worst: nll %.2g, influence %.2g\n", worst, worst_influence);
}

INSTANTIATE_TEST_SUITE_P(Models, TorchGolden,
                         testing::Values(Golden{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
                                         Golden{"qwen2.5-coder-0.5b", "Qwen2.5-Coder-0.5B-Instruct.Q4.gguf"},
                                         Golden{"gemma3-270m", "gemma-3-270m.Q4_K_M.gguf"}),
                         [](const testing::TestParamInfo<Golden>& info) {
                           std::string name = info.param.name;
                           std::erase_if(name,
                                         [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                           return name;
                         });

}  // namespace
}  // namespace edgellm
