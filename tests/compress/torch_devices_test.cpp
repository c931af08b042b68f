// What LibTorch computes on other devices than the CPU is what it computes there: logits, GPTQ, training.
// Where it finds no other device these tests are skipped.
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
#include "recipes/candidate_store.h"
#include "recipes/compress/compensated_tensors.h"
#include "recipes/compress/trained_tensors.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::kWide, tiny::Shape, tiny::value_of;

constexpr size_t kTokens = 24;

class TorchDevices : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> all = torch_devices();
    others_.assign(all.begin() + 1, all.end());
    if (others_.empty()) GTEST_SKIP() << "LibTorch finds no device beside the CPU";
  }

  void use(const Shape& shape, TensorType type, size_t n_windows) {
    source_ = tiny::open(shape);
    ASSERT_TRUE(source_);
    windows_ = tiny::random_windows(n_windows, kTokens, shape.n_vocabulary);
    plan_ = tiny::plan_in(type, *source_);
  }

  std::map<std::string, CompensatedTensor> compensated(const std::string& device, bool weigh_tokens) {
    CompensationOptions o;
    o.folder = folder_.path() / fmt::format("{}-{}-{}", device, plan_hash(plan_), weigh_tokens);
    o.weigh_tokens = weigh_tokens;
    o.device = device;
    std::map<std::string, CompensatedTensor> found;
    for (const CompensatedTensor& t : value_of(compensate_tensors(source_, plan_, windows_, o, {})).tensors)
      found[t.name] = t;
    return found;
  }

  GridTraining trained(const std::string& device) {
    GridTrainingOptions o;
    o.encoded = folder_.path() / fmt::format("encoded-{}", plan_hash(plan_));
    ThreadPool threads(1);
    CandidateStore store(o.encoded, *source_, nullptr, threads);
    for (const auto& [name, type] : plan_.types) EXPECT_TRUE(store.get(*source_->find(name), type).ok());
    o.folder = folder_.path() / fmt::format("trained-{}-{}", device, plan_hash(plan_));
    o.n_epochs = 2;
    o.learning_rate = 0.01;
    o.device = device;
    return value_of(train_tensors(source_, plan_, windows_, o, {}));
  }

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("devices"));
  std::vector<std::string> others_;
  std::shared_ptr<const GgufFile> source_;
  std::vector<std::vector<Token>> windows_;
  QuantizationPlan plan_;
};

TEST_F(TorchDevices, GiveTheLogitsOfTheCpu) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    use(shape, TensorType::Q4_0, 2);
    auto logits = [&](const std::string& device, const char* type) {
      at::NoGradGuard no_grad;
      auto decoder = value_of(TorchDecoder::load(source_, value_of(torch_compute(device, type))));
      return decoder->head()
          .logits(decoder->forward(value_of(decoder->model().embed(windows_))))
          .to(at::kCPU);
    };
    const at::Tensor wanted = logits("cpu", "f32");
    for (const std::string& device : others_) {
      SCOPED_TRACE(shape.family + (" on " + device));
      EXPECT_LT(tiny::relative_difference(logits(device, "f32"), wanted), 1e-4);
      EXPECT_LT(tiny::relative_difference(logits(device, "bf16"), wanted), 0.05);
    }
  }
}

TEST_F(TorchDevices, FeedErrorsBackAsTheCpuDoes) {
  for (auto [shape, type] :
       {std::pair{kQwen2, TensorType::Q4_0}, {kWide, TensorType::Q3_K}, {kWide, TensorType::IQ2_XS}})
    for (bool weigh_tokens : {false, true}) {
      use(shape, type, 9);
      const auto wanted = compensated("cpu", weigh_tokens);
      for (const std::string& device : others_) {
        SCOPED_TRACE(fmt::format("{} on {}, tokens weighed: {}", to_string(type), device, weigh_tokens));
        for (const auto& [name, got] : compensated(device, weigh_tokens)) {
          // Sums in another order round single weights otherwise.
          EXPECT_NEAR(got.error / wanted.at(name).error, 1, 0.1) << name;
          EXPECT_NEAR(got.nearest_error / wanted.at(name).nearest_error, 1, 0.1) << name;
          EXPECT_LT(got.error, got.nearest_error) << name;
        }
      }
    }
}

TEST_F(TorchDevices, TrainAsTheCpuDoes) {
  for (auto [shape, type] :
       {std::pair{kQwen2, TensorType::Q4_0}, {kWide, TensorType::Q3_K}, {kWide, TensorType::IQ2_XS}}) {
    use(shape, type, 32);
    const GridTraining wanted = trained("cpu");
    EXPECT_GT(wanted.best_epoch, 0u);
    for (const std::string& device : others_) {
      SCOPED_TRACE(fmt::format("{} on {}", to_string(type), device));
      const GridTraining got = trained(device);
      EXPECT_EQ(got.best_epoch, wanted.best_epoch);
      EXPECT_EQ(got.changed, wanted.changed);
      EXPECT_NEAR(got.held_before / wanted.held_before, 1, 1e-3);
      EXPECT_NEAR(got.held_after / wanted.held_after, 1, 0.02);
    }
  }
}

}  // namespace
}  // namespace edgellm
