// quantize --types: lines of one's own, and the plan of a fit.
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class QuantizeTypes : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    write_model(at("model.gguf"));
  }
  std::map<std::string, TensorType> types_of(const std::string& name) const {
    std::map<std::string, TensorType> types;
    auto file = GgufFile::open(at(name));
    EXPECT_TRUE(file.ok()) << name;
    if (file.ok())
      for (const GgufTensor& tensor : file->tensors()) types[tensor.name] = tensor.type;
    return types;
  }
};

TEST_F(QuantizeTypes, LinesGoBeforeThePreset) {
  std::ofstream(at("types.txt")) << "blk.*.ffn_down.weight Q6_K # wide rows\nblk.1.attn_q.weight Q8_0\n";
  ASSERT_EQ(
      run({"quantize", "model.gguf", "--types", "types.txt", "--type", "Q4_0", "-o", "both.gguf"}).exit_code,
      0);
  auto both = types_of("both.gguf");
  EXPECT_EQ(both["blk.3.ffn_down.weight"], TensorType::Q6_K);
  EXPECT_EQ(both["blk.1.attn_q.weight"], TensorType::Q8_0);
  EXPECT_EQ(both["blk.2.attn_q.weight"], TensorType::Q4_0);
  ASSERT_EQ(run({"quantize", "model.gguf", "--types", "types.txt", "-o", "alone.gguf"}).exit_code, 0);
  EXPECT_EQ(types_of("alone.gguf")["blk.2.attn_q.weight"], TensorType::F16) << "the rest stays";
}

TEST_F(QuantizeTypes, TheReportOfAFitGivesItsTypesAgainAndIsForThatModelOnly) {
  std::ofstream(at("text.txt")) << some_text(1500);
  ASSERT_EQ(run({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "--context", "64", "-o",
                 "fit.gguf"})
                .exit_code,
            0);
  Outcome outcome = run({"quantize", "model.gguf", "--types", "fit.gguf.json", "-o", "again.gguf"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(types_of("again.gguf") == types_of("fit.gguf"));
  tiny::Shape shape = model_shape();
  shape.seed = 2;
  write_model(at("other.gguf"), model_metadata(shape), tiny::tensors_of(shape));
  expect_refused({"quantize", "other.gguf", "--types", "fit.gguf.json", "-o", "no.gguf"},
                 {"fit.gguf.json", "hash", "other.gguf"});
}

TEST_F(QuantizeTypes, WhatIsWrongIsNamedWithFileAndLine) {
  std::ofstream(at("types.txt")) << "# mine\nblk.0.attn_q.weight Q9_9\n";
  expect_refused({"quantize", "model.gguf", "--types", "types.txt", "-o", "out.gguf"},
                 {"types.txt, line 2", "Q9_9"});
  expect_refused({"quantize", "model.gguf", "--types", "missing.txt", "-o", "out.gguf"}, {"missing.txt"});
  std::ofstream(at("types.txt")) << "blk.0.attn_q.weight Q8_0\n";
  expect_refused({"quantize", "model.gguf", "--types", "types.txt", "-o", "types.txt"},
                 {"types.txt", "input"});
  expect_usage_error({"quantize", "model.gguf", "-o", "out.gguf"}, {"--type", "--types"});
}

}  // namespace
}  // namespace edgellm::cli
