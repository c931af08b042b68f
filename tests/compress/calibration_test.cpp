// Calibration of small models against a direct computation with the whole model.
#include "compress/calibrate/calibration.h"

#include <gtest/gtest.h>
#include <regex>

#include "core/base/interrupt.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::relative_difference, tiny::Shape, tiny::value_of;
using enum TensorRole;

constexpr size_t kWindows = 5, kTokens = 12;

// What a calibration told, by layer.
struct Told {
  std::vector<uint32_t> layers;
  std::vector<std::map<TensorRole, at::Tensor>> moments;  // [n_layers]
  std::vector<double> influence;
  at::Tensor head_moments, head_inputs;

  CalibrationCallbacks callbacks(std::function<Status(LayerCalibration&)> then = {}) {
    return {.on_layer = [this, then](LayerCalibration& layer) -> Status {
              layers.push_back(layer.number());
              moments.resize(std::max<size_t>(moments.size(), layer.number() + 1));
              for (auto& [role, m] : layer.moments()) moments[layer.number()][role] = m.matrix().clone();
              influence.push_back(layer.block_influence());
              return then ? then(layer) : Status();
            },
            .on_head = [this](HeadCalibration& head) -> Status {
              head_moments = head.moments().matrix().clone();
              EDGELLM_ASSIGN_OR_RETURN(head_inputs, head.inputs(0, head.n_windows()));
              return {};
            }};
  }
};

class CalibrationTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("edgellm_calibration_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override {
    clear_interrupt();
    fs::remove_all(folder_);
  }

  void use(const Shape& shape) {
    model_ = value_of(TorchModel::open(tiny::open(shape), {}));
    windows_ = tiny::random_windows(kWindows, kTokens, shape.n_vocabulary);
  }
  CalibrationOptions options() const {
    CalibrationOptions o;
    o.hidden_type = at::kFloat;
    o.n_batch_tokens = 2 * kTokens;
    return o;
  }

  // The same without calibration: layer by layer over all windows at once, changing each layer after its
  // inputs are taken.
  Told direct(const std::function<void(TorchLayer&)>& change = {}) {
    Told told;
    at::Tensor hidden = value_of(model_->embed(windows_));
    TorchPositions positions = model_->positions(kTokens);
    for (uint32_t number = 0; number < model_->n_layers(); ++number) {
      TorchLayer layer = value_of(model_->load_layer(number));
      auto& moments = told.moments.emplace_back();
      at::Tensor output = layer.forward(
          hidden, positions, [&](TensorRole role, const at::Tensor& x) { moments[role] = x.t().matmul(x); });
      told.influence.push_back(1 - at::cosine_similarity(hidden, output, -1, 1e-30).mean().item<double>());
      if (change) change(layer);
      hidden = change ? layer.forward(hidden, positions) : output;
    }
    at::Tensor x =
        torch_rms_norm(hidden, value_of(model_->load_output_norm()), model_->hyperparameters().norm_epsilon)
            .flatten(0, 1);
    told.head_moments = x.t().matmul(x);
    told.head_inputs = hidden;
    return told;
  }

  static void expect_same(const Told& got, const Told& wanted, double tolerance = 1e-4) {
    ASSERT_EQ(got.moments.size(), wanted.moments.size());
    for (size_t layer = 0; layer < wanted.moments.size(); ++layer) {
      ASSERT_EQ(got.moments[layer].size(), wanted.moments[layer].size());
      for (const auto& [role, matrix] : wanted.moments[layer])
        EXPECT_LE(relative_difference(got.moments[layer].at(role), matrix), tolerance)
            << "layer " << layer << " " << to_string(role);
    }
    EXPECT_LE(relative_difference(got.head_moments, wanted.head_moments), tolerance);
    EXPECT_LE(relative_difference(got.head_inputs, wanted.head_inputs), tolerance);
  }

  std::unique_ptr<TorchModel> model_;
  std::vector<std::vector<Token>> windows_;
  fs::path folder_;
};

// Every weight becomes a multiple of a quarter.
void round_weights(TorchLayer& layer) {
  for (TensorRole role : layer_matrix_roles())
    layer.set_parameter(role, (layer.parameter(role) * 4).round() / 4);
}
Status round_layer(LayerCalibration& layer) {
  round_weights(layer.layer());
  return {};
}

TEST_F(CalibrationTest, OfTheModelAsItIsEqualsTheDirectComputation) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape);
    Told wanted = direct();
    for (bool sequential : {false, true}) {
      CalibrationOptions o = options();
      o.sequential = sequential;
      o.keep_original = true;
      Told got;
      CalibrationResult result = value_of(calibrate(*model_, windows_, o, got.callbacks(), {}));
      expect_same(got, wanted);
      ASSERT_EQ(result.block_influence.size(), shape.n_layers);
      for (uint32_t layer = 0; layer < shape.n_layers; ++layer) {
        EXPECT_NEAR(result.block_influence[layer], wanted.influence[layer], 1e-5);
        EXPECT_EQ(got.influence[layer], result.block_influence[layer]);
      }
    }
  }
}

TEST_F(CalibrationTest, LayersSeeWhatReplacedWeightsBeforeThemGive) {
  use(kQwen2);
  Told got;
  CalibrationOptions o = options();
  o.keep_original = true;
  CalibrationResult result = value_of(calibrate(*model_, windows_, o, got.callbacks(round_layer), {}));
  expect_same(got, direct(round_weights));
  // Block Influence stays that of the original model.
  Told original = direct();
  for (uint32_t layer = 0; layer < kQwen2.n_layers; ++layer)
    EXPECT_NEAR(result.block_influence[layer], original.influence[layer], 1e-5);
  EXPECT_GT(relative_difference(got.head_inputs, original.head_inputs), 1e-2);
}

TEST_F(CalibrationTest, InputsAndOriginalOutputsAreThoseOfTheirModels) {
  use(kLlama);
  CalibrationOptions o = options();
  o.keep_original = true;
  at::Tensor original = value_of(model_->embed(windows_)), rounded = original;
  Told told;
  value_of(calibrate(*model_, windows_, o, told.callbacks([&](LayerCalibration& layer) -> Status {
    EXPECT_EQ(layer.n_windows(), kWindows);
    EXPECT_LE(relative_difference(value_of(layer.inputs(1, 3)), rounded.narrow(0, 1, 3)), 1e-5);
    original = layer.layer().forward(original, layer.positions());
    EXPECT_LE(relative_difference(value_of(layer.original_outputs(2, 2)), original.narrow(0, 2, 2)), 1e-5);
    round_weights(layer.layer());
    rounded = layer.layer().forward(rounded, layer.positions());
    return {};
  }),
                     {}));
  EXPECT_EQ(told.layers.size(), kLlama.n_layers);
}

TEST_F(CalibrationTest, StatisticsCollectedAgainSeeTheLayersNewWeights) {
  use(kLlama);
  CalibrationOptions o = options();
  o.roles = {};
  Told told;
  value_of(calibrate(*model_, windows_, o, told.callbacks([&](LayerCalibration& layer) -> Status {
    EXPECT_TRUE(layer.moments().empty());
    EXPECT_LT(layer.block_influence(), 0);
    std::vector<TensorRole> roles = {attention_k, ffn_down};
    LayerMoments before = value_of(layer.collect(roles));
    EXPECT_EQ(before.size(), 2u);
    layer.layer().set_parameter(ffn_up, layer.layer().parameter(ffn_up) * 2);
    LayerMoments after = value_of(layer.collect(roles));
    EXPECT_LE(relative_difference(after.at(ffn_down).matrix(), before.at(ffn_down).matrix() * 4), 1e-4);
    EXPECT_TRUE(after.at(attention_q).matrix().equal(before.at(attention_q).matrix()));
    EXPECT_EQ(after.at(attention_q).n_tokens(), int64_t(kWindows * kTokens));
    return {};
  }),
                     {}));
}

// The mixture of one head, multiplied with its part of the value matrix, is what that head gives.
TEST_F(CalibrationTest, SampledAttentionIsThatOfOneHeadAQuery) {
  for (const Shape& shape : {kLlama, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape);
    TorchLayer layer = value_of(model_->load_layer(1));
    TorchPositions positions = model_->positions(kTokens);
    at::Tensor x = layer.attention_input(value_of(model_->embed(windows_)));
    AttentionSample sample = layer.sample_attention(x, positions);
    at::Tensor attended = layer.attended(x, positions);
    const int64_t width = shape.head_width, n_group = shape.n_heads / shape.n_kv_heads;
    for (int64_t token = 0; token < int64_t(kTokens); ++token) {
      const int64_t head = token % shape.n_heads;
      at::Tensor values = layer.parameter(attention_v).narrow(0, head / n_group * width, width);
      at::Tensor wanted = attended.select(1, token).narrow(1, head * width, width);
      EXPECT_LE(relative_difference(sample.mixed.select(1, token).matmul(values.t()), wanted), 1e-5) << token;
    }
    EXPECT_LE(relative_difference(sample.received.sum(1), at::full({int64_t(kWindows)}, double(kTokens))),
              1e-5);
    // The first query sees nothing but the first token, and the last token is seen by the last query only.
    EXPECT_GE(sample.received.select(1, 0).min().item<float>(), 0.999f);
    EXPECT_LE(sample.received.select(1, kTokens - 1).max().item<float>(), 1.0f);
  }
}

TEST_F(CalibrationTest, StatisticsOfValuesAndKeysAreThoseOfMixedInputsAndOfWhatTheyLeave) {
  use(kLlama);
  CalibrationOptions o = options();
  o.roles = {};
  Told told;
  value_of(calibrate(*model_, windows_, o, told.callbacks([&](LayerCalibration& layer) -> Status {
    at::Tensor x = layer.layer().attention_input(value_of(layer.inputs(0, kWindows)));
    AttentionSample sample = layer.layer().sample_attention(x, layer.positions());
    at::Tensor z = sample.mixed.flatten(0, 1);
    at::Tensor weighed = (x * sample.received.sqrt().unsqueeze(-1)).flatten(0, 1);
    SecondMoments values = value_of(layer.collect_value_inputs()),
                  keys = value_of(layer.collect_key_inputs());
    EXPECT_LE(relative_difference(values.matrix(), z.t().mm(z)), 1e-4);
    EXPECT_LE(relative_difference(keys.matrix(), weighed.t().mm(weighed) - z.t().mm(z)), 1e-4);
    at::Tensor any = at::randn({16, x.size(-1)});
    EXPECT_GE((any.mm(keys.matrix()) * any).sum(1).min().item<float>(), 0.0f) << "a sum of covariances";
    return {};
  }),
                     {}));
  EXPECT_EQ(told.layers.size(), kLlama.n_layers);
}

TEST_F(CalibrationTest, StatesOnDiskGiveTheSame) {
  use(kGemma3);
  Told in_memory, on_disk;
  CalibrationOptions o = options();
  o.n_batch_tokens = kTokens;  // one window: no smaller batch
  CalibrationResult result = value_of(calibrate(*model_, windows_, o, in_memory.callbacks(round_layer), {}));
  EXPECT_FALSE(result.memory.hidden_on_disk);
  // Room for everything but the states.
  o.memory_limit = result.memory.n_bytes() - 1;
  o.work_folder = folder_;
  result = value_of(calibrate(*model_, windows_, o, on_disk.callbacks(round_layer), {}));
  EXPECT_TRUE(result.memory.hidden_on_disk);
  EXPECT_LE(result.memory.n_bytes(), o.memory_limit);
  expect_same(on_disk, in_memory, 1e-6);
  EXPECT_TRUE(fs::is_empty(folder_)) << "states and checkpoints go with the run that made them";
}

TEST_F(CalibrationTest, TokensWeighInWhatIsCollectedAsTheyAreTold) {
  use(kLlama);
  TokenWeights weights;
  for (uint32_t layer = 0; layer < kLlama.n_layers; ++layer)
    for (TensorRole role : {attention_q, attention_v, attention_output, ffn_gate, ffn_up, ffn_down})
      weights.put(layer, role, at::rand({int64_t(kWindows), int64_t(kTokens)}).square());
  CalibrationOptions o = options();
  o.roles = {};
  o.token_weights = &weights;
  Told told;
  value_of(calibrate(*model_, windows_, o, told.callbacks([&](LayerCalibration& layer) -> Status {
    at::Tensor x = layer.layer().attention_input(value_of(layer.inputs(0, kWindows)));
    auto weighed = [&](const at::Tensor& of, TensorRole role) {
      return (of * weights.of(layer.number(), role).sqrt().unsqueeze(-1)).flatten(0, 1);
    };
    auto moment = [](const at::Tensor& rows) { return rows.t().mm(rows); };
    LayerMoments moments = value_of(layer.collect({{attention_q, attention_output, ffn_gate, ffn_down}}));
    at::Tensor state = value_of(layer.inputs(0, kWindows));
    state = state + layer.layer().attention_branch(layer.layer().attended(x, layer.positions()));
    at::Tensor y = layer.layer().ffn_input(state);
    EXPECT_LE(relative_difference(moments.at(ffn_gate).matrix(), moment(weighed(y, ffn_gate))), 1e-4);
    EXPECT_LE(
        relative_difference(moments.at(ffn_down).matrix(), moment(weighed(layer.layer().gated(y), ffn_down))),
        1e-4);
    EXPECT_LE(relative_difference(moments.at(attention_q).matrix(), moment(weighed(x, attention_q))), 1e-4);
    at::Tensor attended = layer.layer().attended(x, layer.positions());
    EXPECT_LE(relative_difference(moments.at(attention_output).matrix(),
                                  moment(weighed(attended, attention_output))),
              1e-4);
    AttentionSample sample =
        layer.layer().sample_attention(x, layer.positions(), weights.of(layer.number(), attention_v));
    at::Tensor z = weighed(sample.mixed, attention_v),
               received = (x * sample.received.sqrt().unsqueeze(-1)).flatten(0, 1);
    SecondMoments values = value_of(layer.collect_value_inputs()),
                  keys = value_of(layer.collect_key_inputs());
    EXPECT_LE(relative_difference(values.matrix(), moment(z)), 1e-4);
    EXPECT_LE(relative_difference(keys.matrix(), moment(received) - moment(z)), 1e-4);
    at::Tensor any = at::randn({16, x.size(-1)});
    EXPECT_GE((any.mm(keys.matrix()) * any).sum(1).min().item<float>(), 0.0f) << "a sum of covariances";
    return {};
  }),
                     {}));
  EXPECT_EQ(told.layers.size(), kLlama.n_layers);
}

// Collecting ffn_down's inputs last and keeping them gives the next layer what computing it anew would.
TEST_F(CalibrationTest, KeptInputsOfFfnDownLeadToTheSameStates) {
  auto rounds_down_last = [](LayerCalibration& layer) -> Status {
    round_weights(layer.layer());
    at::Tensor down = layer.layer().parameter(ffn_down);
    layer.layer().set_parameter(ffn_down, down * 1.5);
    auto moments = layer.collect({{ffn_down}});
    if (!moments.ok()) return moments.error();
    layer.layer().set_parameter(ffn_down, down);
    return {};
  };
  for (const Shape& shape : {kLlama, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape);
    CalibrationOptions o = options();
    o.n_batch_tokens = kTokens;
    Told computed, kept, on_disk;
    value_of(calibrate(*model_, windows_, o, computed.callbacks(rounds_down_last), {}));
    o.keep_ffn_inputs = true;
    CalibrationResult result =
        value_of(calibrate(*model_, windows_, o, kept.callbacks(rounds_down_last), {}));
    expect_same(kept, computed, 1e-5);
    o.memory_limit = result.memory.n_bytes() - 1;
    o.work_folder = folder_;
    result = value_of(calibrate(*model_, windows_, o, on_disk.callbacks(rounds_down_last), {}));
    EXPECT_TRUE(result.memory.hidden_on_disk);
    expect_same(on_disk, computed, 1e-5);
  }
}

// What was collected leads to the next layer, whatever becomes of gate and up: they are not computed again.
TEST_F(CalibrationTest, InputsOfFfnDownThatAreKeptAreThoseCollected) {
  use(kLlama);
  CalibrationOptions o = options();
  auto states = [&](bool keeps, bool changes) {
    o.keep_ffn_inputs = keeps;
    Told told;
    value_of(calibrate(*model_, windows_, o, told.callbacks([&](LayerCalibration& layer) -> Status {
      auto moments = layer.collect({{ffn_down}});
      if (!moments.ok()) return moments.error();
      if (changes) layer.layer().set_parameter(ffn_gate, layer.layer().parameter(ffn_gate) * 0);
      return {};
    }),
                       {}));
    return told.head_inputs;
  };
  at::Tensor wanted = states(false, false);
  EXPECT_LE(relative_difference(states(true, true), wanted), 1e-5);
  EXPECT_GE(relative_difference(states(false, true), wanted), 1e-2);
}

// Attention either, once inputs of the feed-forward half were collected.
TEST_F(CalibrationTest, WhatComesToTheFeedForwardHalfIsKeptOnceItWasCollected) {
  use(kLlama);
  CalibrationOptions o = options();
  auto told = [&](bool keeps, bool changes) {
    o.keep_ffn_inputs = keeps;
    std::vector<at::Tensor> found;
    Told last;
    value_of(calibrate(*model_, windows_, o, last.callbacks([&](LayerCalibration& layer) -> Status {
      auto gate = layer.collect({{ffn_gate}});
      if (!gate.ok()) return gate.error();
      if (changes)
        layer.layer().set_parameter(attention_output, layer.layer().parameter(attention_output) * 0);
      auto down = layer.collect({{ffn_down}});
      if (!down.ok()) return down.error();
      found.push_back(down->at(ffn_down).matrix().clone());
      return {};
    }),
                       {}));
    found.push_back(last.head_inputs);
    return found;
  };
  const auto wanted = told(false, false), kept = told(true, true), changed = told(false, true);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_LE(relative_difference(kept[i], wanted[i]), 1e-5);
    EXPECT_GE(relative_difference(changed[i], wanted[i]), 1e-2);
  }
}

TEST_F(CalibrationTest, InputsMayBeCollectedInAnyOrder) {
  use(kLlama);
  CalibrationOptions o = options();
  auto head_inputs = [&](bool keeps) {
    o.keep_ffn_inputs = keeps;
    Told last;
    value_of(calibrate(*model_, windows_, o, last.callbacks([&](LayerCalibration& layer) -> Status {
      for (TensorRole role : {ffn_down, ffn_gate, attention_output, ffn_gate, ffn_down, ffn_gate})
        if (auto found = layer.collect({{role}}); !found.ok()) return found.error();
      return {};
    }),
                       {}));
    return last.head_inputs;
  };
  EXPECT_LE(relative_difference(head_inputs(true), head_inputs(false)), 1e-5);
}

TEST_F(CalibrationTest, TooLittleMemorySaysHowMuchWouldDo) {
  use(kLlama);
  CalibrationOptions o = options();
  o.memory_limit = 1000;
  auto refused = calibrate(*model_, windows_, o, {}, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("1000 bytes"), std::string::npos) << refused.error().message;
  std::smatch found;
  ASSERT_TRUE(std::regex_search(refused.error().message, found, std::regex("([0-9]+) bytes would do")));
  o.memory_limit = std::stoull(found[1]);
  EXPECT_TRUE(calibrate(*model_, windows_, o, {}, {}).ok());
  --o.memory_limit;
  EXPECT_FALSE(calibrate(*model_, windows_, o, {}, {}).ok());
}

TEST_F(CalibrationTest, WithoutALimitUsualMemoryIsKeptToWhereItIsEnough) {
  use(kLlama);
  CalibrationOptions o = options();
  CalibrationResult usual = value_of(calibrate(*model_, windows_, o, {}, {}));
  EXPECT_FALSE(usual.memory.hidden_on_disk);
  o.usual_memory = usual.memory.n_bytes() - 1;
  CalibrationResult less = value_of(calibrate(*model_, windows_, o, {}, {}));
  EXPECT_LE(less.memory.n_bytes(), o.usual_memory);
  // Where it is not, with as little as it takes.
  o.usual_memory = 1000;
  CalibrationResult least = value_of(calibrate(*model_, windows_, o, {}, {}));
  EXPECT_TRUE(least.memory.hidden_on_disk);
  EXPECT_EQ(least.memory.n_batch_windows, 1u);
}

TEST_F(CalibrationTest, StatesInBrainFloatStayNear) {
  use(kLlama);
  CalibrationOptions o = options();
  o.hidden_type = at::kBFloat16;
  Told got;
  value_of(calibrate(*model_, windows_, o, got.callbacks(), {}));
  expect_same(got, direct(), 3e-2);
}

TEST_F(CalibrationTest, AStoppedRunGoesOnAtTheLayerInWorkWithTheSameResult) {
  use(kGemma3);
  CalibrationOptions o = options();
  o.keep_original = true;
  Told whole;
  CalibrationResult wanted = value_of(calibrate(*model_, windows_, o, whole.callbacks(round_layer), {}));
  o.work_folder = folder_;
  o.key = "rounded to quarters";
  Told told;
  auto stop_at = [&](uint32_t number, bool by_interrupt) {
    return told.callbacks([=](LayerCalibration& layer) -> Status {
      if (layer.number() == number && !by_interrupt) return Error{"out of room"};
      if (layer.number() == number) request_interrupt();
      return round_layer(layer);
    });
  };
  auto stopped = calibrate(*model_, windows_, o, stop_at(2, false), {});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "out of room");
  stopped = calibrate(*model_, windows_, o, stop_at(4, true), {});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "interrupted");
  clear_interrupt();
  CalibrationResult result = value_of(calibrate(*model_, windows_, o, told.callbacks(round_layer), {}));
  EXPECT_EQ(result.first_layer, 4u);
  EXPECT_EQ(told.layers, (std::vector<uint32_t>{0, 1, 2, 2, 3, 4, 4, 5, 6}));
  EXPECT_EQ(result.block_influence, wanted.block_influence);
  expect_same(told, whole, 1e-6);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(CalibrationTest, ACheckpointOfSomethingElseIsNotGoneOnWith) {
  use(kLlama);
  CalibrationOptions o = options();
  o.work_folder = folder_;
  o.key = "one";
  Told told;
  auto stop = told.callbacks([](LayerCalibration& layer) -> Status {
    if (layer.number() == 1) return Error{"stop"};
    return {};
  });
  EXPECT_FALSE(calibrate(*model_, windows_, o, stop, {}).ok());
  CalibrationOptions other = o;
  other.key = "two";
  EXPECT_FALSE(calibrate(*model_, windows_, other, stop, {}).ok());
  EXPECT_EQ(told.layers, (std::vector<uint32_t>{0, 1, 0, 1}));
  // Cut off, as by a crash of the machine: computed again.
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.path().extension() == ".bin") fs::resize_file(entry.path(), 10);
  EXPECT_EQ(value_of(calibrate(*model_, windows_, other, {}, {})).first_layer, 0u);
}

TEST_F(CalibrationTest, ReportsProgressToTheEnd) {
  use(kLlama);
  std::vector<ProgressReport> reports;
  value_of(
      calibrate(*model_, windows_, options(), {}, [&](const ProgressReport& r) { reports.push_back(r); }));
  ASSERT_GE(reports.size(), 2u);
  EXPECT_EQ(reports.front().fraction, 0);
  EXPECT_EQ(reports.back().fraction, 1);
}

TEST_F(CalibrationTest, RefusesWindowsItCannotUse) {
  use(kLlama);
  auto message = [&](const std::vector<std::vector<Token>>& windows) {
    auto result = calibrate(*model_, windows, options(), {}, {});
    return result.ok() ? std::string() : result.error().message;
  };
  EXPECT_NE(message({}).find("at least 2 tokens"), std::string::npos);
  EXPECT_NE(message({{1}}).find("at least 2 tokens"), std::string::npos);
  EXPECT_NE(message({{1, 2, 3}, {1, 2}}).find("one length"), std::string::npos);
  EXPECT_NE(message({{1, 4000}}).find("4000"), std::string::npos);
  EXPECT_NE(message(tiny::random_windows(1, 257, 96)).find("256"), std::string::npos);
}

TEST_F(CalibrationTest, ValuesThatAreNoNumbersStopItAndNameTheLayer) {
  use(kLlama);
  auto result = calibrate(*model_, windows_, options(),
                          {.on_layer = [](LayerCalibration& layer) -> Status {
                             if (layer.number() == 1)
                               layer.layer().set_parameter(ffn_down, layer.layer().parameter(ffn_down) * NAN);
                             return {};
                           },
                           .on_head = {}},
                          {});
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("layer 1"), std::string::npos) << result.error().message;
}

}  // namespace
}  // namespace edgellm
