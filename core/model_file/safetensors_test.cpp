#include "core/model_file/safetensors.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
#include "core/model_file/hf_folder.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  Result<SafetensorsFile> open(std::string_view bytes) {
    put("x.safetensors", bytes);
    return SafetensorsFile::open(folder_ / "x.safetensors");
  }
  std::string error_of(std::string_view bytes) {
    auto opened = open(bytes);
    return opened.ok() ? "no error" : opened.error().message;
  }
  // A file of this header and n_data bytes.
  std::string error_of(std::string_view header, size_t n_data) { return error_of(file(header, n_data)); }
  static std::string file(std::string_view header, size_t n_data) {
    uint64_t n = header.size();
    std::string bytes(reinterpret_cast<const char*>(&n), sizeof n);
    return bytes.append(header).append(n_data, 'd');
  }
  TemporaryFolder folder_ = *TemporaryFolder::create("safetensors");
};

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::vector<SafetensorsWriter::Declaration> kTensors = {
    {"a.weight", SafetensorsType::BF16, {4, 3}},
    {"empty", SafetensorsType::I64, {0, 7}},
    {"b", SafetensorsType::F32, {5}},
    {"scalar", SafetensorsType::F64, {}},
    {"c", SafetensorsType::F16, {2, 2, 2}},
};
constexpr size_t kTensorBytes[] = {24, 0, 20, 8, 16};

Status write_all(const fs::path& folder, uint64_t most_shard_bytes) {
  EDGELLM_ASSIGN_OR_RETURN(auto writer, SafetensorsWriter::create(folder, kTensors, most_shard_bytes));
  for (size_t n : kTensorBytes) {
    std::vector<std::byte> data(n, std::byte(n));
    if (n == 0) continue;
    EDGELLM_RETURN_IF_ERROR(writer.write(std::span(data).first(n / 3)));
    EDGELLM_RETURN_IF_ERROR(writer.write(std::span(data).subspan(n / 3)));
  }
  return writer.commit();
}

TEST_F(SafetensorsTest, WhatIsWrittenIsReadBackExactly) {
  auto status = write_all(folder_, 0);
  ASSERT_TRUE(status.ok()) << status.error().message;
  auto read = SafetensorsFile::open(folder_ / "model.safetensors");
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->tensors().size(), kTensors.size());
  EXPECT_EQ(read->metadata().at("format"), "pt");
  for (size_t i = 0; i < kTensors.size(); ++i) {
    const SafetensorsTensor* tensor = read->find(kTensors[i].name);
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->type, kTensors[i].type);
    EXPECT_EQ(tensor->shape, kTensors[i].shape);
    ASSERT_EQ(tensor->data.size(), kTensorBytes[i]);
    for (std::byte b : tensor->data) EXPECT_EQ(b, std::byte(kTensorBytes[i]));
  }
  EXPECT_EQ(read->find("scalar")->n_values(), 1u);
  EXPECT_EQ(read->find("missing"), nullptr);
}

TEST_F(SafetensorsTest, ShardsAreFilledUpToTheirSizeAndReadTogether) {
  ASSERT_TRUE(write_all(folder_, 30).ok());
  put("config.json", "{\"model_type\": \"llama\"}");
  EXPECT_TRUE(fs::exists(folder_ / "model-00001-of-00003.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "model-00003-of-00003.safetensors"));
  auto folder = HfFolder::open(folder_);
  ASSERT_TRUE(folder.ok()) << folder.error().message;
  EXPECT_EQ(folder->files().size(), 3u);
  for (size_t i = 0; i < kTensors.size(); ++i)
    EXPECT_EQ(folder->find(kTensors[i].name)->data.size(), kTensorBytes[i]) << kTensors[i].name;
  EXPECT_EQ(folder->config()["model_type"], "llama");
  EXPECT_TRUE(HfFolder::looks_like_one(folder_));
}

TEST_F(SafetensorsTest, AFileTruncatedAtAnyByteIsRefused) {
  ASSERT_TRUE(write_all(folder_, 0).ok());
  std::string whole = slurp(folder_ / "model.safetensors");
  for (size_t n = 0; n < whole.size(); ++n) ASSERT_FALSE(open(whole.substr(0, n)).ok()) << n;
  EXPECT_TRUE(open(whole).ok());
  EXPECT_FALSE(open(whole + "x").ok());
}

TEST_F(SafetensorsTest, AnyByteOverwrittenNeverBreaksTheReader) {
  ASSERT_TRUE(write_all(folder_, 0).ok());
  std::string whole = slurp(folder_ / "model.safetensors");
  for (size_t i = 0; i < whole.size(); ++i) {
    for (char value : {'\x00', '9', '[', '{', '"', '\xff'}) {
      std::string changed = whole;
      changed[i] = value;
      auto opened = open(changed);
      if (opened.ok()) continue;
      EXPECT_NE(opened.error().message.find("x.safetensors"), std::string::npos);
    }
  }
}

TEST_F(SafetensorsTest, AHeaderThatLiesIsNamed) {
  auto tensor = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return std::string(R"({"w":{"dtype":")") + std::string(dtype) + R"(","shape":)" + std::string(shape) +
           R"(,"data_offsets":)" + std::string(offsets) + "}}";
  };
  EXPECT_EQ(error_of(tensor("F32", "[2,2]", "[0,16]"), 16), "no error");
  EXPECT_NE(error_of(tensor("F33", "[2,2]", "[0,16]"), 16).find("unknown dtype 'F33'"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2,2]", "[0,17]"), 16).find("not inside the 16 bytes"),
            std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2,2]", "[16,0]"), 16).find("not inside"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2,2]", "[0,12]"), 16).find("its shape and dtype 16"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2,2]", "[0,16,16]"), 16).find("lacks"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2,-2]", "[0,16]"), 16).find("negative"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[2.5]", "[0,16]"), 16).find("fraction"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[[2]]", "[0,16]"), 16).find("array"), std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]"), 16).find("more than 8"),
            std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[4294967296,4294967296]", "[0,0]"), 0).find("overflows"),
            std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[0,4294967296,4294967296]", "[0,0]"), 0).find("overflows"),
            std::string::npos);
  EXPECT_NE(error_of(tensor("F32", "[99999999999999999999]", "[0,16]"), 16).find("fraction"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"w":{"dtype":"F32"}})", 0).find("'w' lacks"), std::string::npos);
  EXPECT_NE(error_of(R"({"w":7})", 0).find("'w'"), std::string::npos);
  EXPECT_NE(error_of(R"({"__metadata__":{"a":1}})", 0).find("'a'"), std::string::npos);
}

TEST_F(SafetensorsTest, OverlapsHolesAndRepeatedNamesAreRefused) {
  auto two = [](std::string_view names, std::string_view first, std::string_view second) {
    std::string one = R"({"dtype":"U8","shape":[4],"data_offsets":)";
    return std::string("{\"") + names[0] + "\":" + one + std::string(first) + "},\"" + names[1] +
           "\":" + one + std::string(second) + "}}";
  };
  EXPECT_EQ(error_of(two("ab", "[4,8]", "[0,4]"), 8), "no error");
  EXPECT_NE(error_of(two("ab", "[0,4]", "[2,6]"), 8).find("overlap at byte 2"), std::string::npos);
  EXPECT_NE(error_of(two("ab", "[0,4]", "[6,10]"), 10).find("hole at byte 4"), std::string::npos);
  EXPECT_NE(error_of(two("ab", "[0,4]", "[4,8]"), 9).find("the file has 9"), std::string::npos);
  EXPECT_NE(error_of(two("aa", "[0,4]", "[4,8]"), 8).find("'a' appears twice"), std::string::npos);
}

TEST_F(SafetensorsTest, HugeAndDeepHeadersCostNothing) {
  std::string huge = file("{}", 0);
  uint64_t n = ~uint64_t{0};
  std::memcpy(huge.data(), &n, sizeof n);
  EXPECT_NE(error_of(huge).find("should have 18446744073709551615 bytes"), std::string::npos);
  EXPECT_NE(error_of("{\"a\":" + std::string(1000000, '['), 0).find("not expected"), std::string::npos);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_NE(error_of(objects, 0).find("not expected"), std::string::npos);
  EXPECT_NE(error_of("[]", 0).find("does not begin"), std::string::npos);
}

TEST_F(SafetensorsTest, EveryRealTypeDecodes) {
  auto decode = [](SafetensorsType type, auto stored) {
    float value;
    decode_values(type, reinterpret_cast<const std::byte*>(&stored), &value, 1);
    return value;
  };
  EXPECT_EQ(decode(SafetensorsType::F32, -1.25f), -1.25f);
  EXPECT_EQ(decode(SafetensorsType::F64, 0.1), 0.1f);
  EXPECT_EQ(decode(SafetensorsType::F16, uint16_t{0x3e00}), 1.5f);
  EXPECT_EQ(decode(SafetensorsType::BF16, uint16_t{0xc000}), -2.0f);
  EXPECT_EQ(decode(SafetensorsType::F8_E5M2, uint8_t{0x3e}), 1.5f);
  EXPECT_EQ(decode(SafetensorsType::F8_E4M3, uint8_t{0x7e}), 448.0f);
  EXPECT_EQ(decode(SafetensorsType::F8_E4M3, uint8_t{0x81}), -0x1p-9f);
  EXPECT_EQ(decode(SafetensorsType::F8_E4M3, uint8_t{0x38}), 1.0f);
  EXPECT_TRUE(std::isnan(decode(SafetensorsType::F8_E4M3, uint8_t{0x7f})));
  EXPECT_FALSE(is_real(SafetensorsType::I32));
}

TEST_F(SafetensorsTest, FoldersThatDisagreeWithTheirIndexAreNamed) {
  auto error = [&] {
    auto opened = HfFolder::open(folder_);
    return opened.ok() ? "no error" : opened.error().message;
  };
  EXPECT_NE(error().find("config.json"), std::string::npos);
  put("config.json", "{\"a\":");
  EXPECT_NE(error().find("no JSON object"), std::string::npos);
  put("config.json", "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}");
  EXPECT_NE(error().find("deep"), std::string::npos);
  put("config.json", "{}");
  EXPECT_NE(error().find("neither"), std::string::npos);
  put("one.safetensors", file(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4));
  put("model.safetensors.index.json", R"({"weight_map":{"w":"../one.safetensors"}})");
  EXPECT_NE(error().find("../one"), std::string::npos);
  put("model.safetensors.index.json", R"({"weight_map":{"w":"two.safetensors"}})");
  EXPECT_NE(error().find("two.safetensors"), std::string::npos);
  put("model.safetensors.index.json", R"({"weight_map":{"v":"one.safetensors"}})");
  EXPECT_NE(error().find("'w' of one.safetensors"), std::string::npos);
  put("model.safetensors.index.json", R"({"weight_map":{"v":"one.safetensors","w":"one.safetensors"}})");
  EXPECT_NE(error().find("'v' of the index"), std::string::npos);
  put("model.safetensors.index.json", R"({"weight_map":{"w":"one.safetensors"}})");
  EXPECT_EQ(error(), "no error");
}

TEST_F(SafetensorsTest, AnIncompleteFileNeverAppearsUnderItsName) {
  {
    auto writer = SafetensorsWriter::create(folder_, kTensors);
    ASSERT_TRUE(writer.ok());
    EXPECT_FALSE(writer->commit().ok());
    EXPECT_FALSE(writer->write(std::vector<std::byte>(25)).ok());
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace edgellm
