#include "ops/joining.h"

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

AttributesPtr slice(int axis, std::int64_t begin, std::int64_t end, Shape input = {}) {
  SliceAttributes attributes;
  attributes.axis = axis;
  attributes.begin = begin;
  attributes.end = end;
  attributes.input_shape = input;
  return shared(attributes);
}

AttributesPtr concat(int axis) {
  return shared(ConcatAttributes(axis));
}

const RegisterCases cases({
    {"concat", "channels", concat(1), {wanted({2, 3, 4, 5}), wanted({2, 2, 4, 5})}, Match::exact},
    {"concat", "three", concat(1), {wanted({5, 3}), wanted({5, 1}), wanted({5, 7})}, Match::exact},
    {"concat", "batch", concat(0), {wanted({5, 3}), wanted({2, 3})}, Match::exact},
    {"concat", "last axis", concat(2), {wanted({2, 3, 4}), wanted({2, 3, 1})}, Match::exact},
    {"concat", "one", concat(1), {wanted({5, 3})}, Match::exact},
    {"concat", "blocks of channels", concat(1), {f32({3, 16, 5, 5}), f32({3, 32, 5, 5})}, Match::exact},
    {"slice", "channels", slice(1, 1, 3), {wanted({2, 4, 3, 5})}, Match::exact},
    {"slice", "batch", slice(0, 2, 5), {wanted({6, 7})}, Match::exact},
    {"slice", "last axis", slice(2, 0, 1), {wanted({2, 3, 4})}, Match::exact},
    {"slice", "all", slice(1, 0, 3), {wanted({5, 3})}, Match::exact},
    {"slice_backward", "channels", slice(1, 1, 3, {2, 4, 3, 5}), {wanted({2, 2, 3, 5})}, Match::exact},
    {"slice_backward", "batch", slice(0, 2, 5, {6, 7}), {wanted({3, 7})}, Match::exact},
    {"slice_backward", "last axis", slice(2, 0, 1, {2, 3, 4}), {wanted({2, 3, 1})}, Match::exact},
});

}  // namespace
}  // namespace trainctl::test
