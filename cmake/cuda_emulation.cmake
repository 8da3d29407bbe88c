# The module `cuda` without CUDA: kernels/cuda, its device code made C++ by a script, on the emulation of tests/kernels_cuda.
# test_kernels_cuda has it in itself; emulated_cuda/cuda.so is for whole programs, as TRAINCTL_MODULES=emulated_cuda trainctl.
set(emulated ${PROJECT_SOURCE_DIR}/tests/kernels_cuda)
set(translated ${PROJECT_BINARY_DIR}/cuda_emulation)
file(GLOB device_code RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS kernels/cuda/*.cu kernels/cuda/*.cuh)
list(TRANSFORM device_code REPLACE "(.+)\\.cu$" "\\1.cu.cpp" OUTPUT_VARIABLE translated_code)
list(TRANSFORM translated_code PREPEND ${translated}/)
add_custom_command(OUTPUT ${translated_code} DEPENDS ${emulated}/launches.py ${device_code}
                   COMMAND ${TRAINCTL_PYTHON} ${emulated}/launches.py ${translated} ${PROJECT_SOURCE_DIR} ${device_code}
                   WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Making C++ of CUDA")

file(GLOB emulation_sources CONFIGURE_DEPENDS ${emulated}/emulation/*.cpp)
add_library(kernels_cuda_emulated OBJECT ${translated_code} ${emulation_sources} kernels/cuda/device.cpp kernels/cuda/errors.cpp
            kernels/cuda/linear.cpp kernels/cuda/upload_queue.cpp)
target_compile_definitions(kernels_cuda_emulated PRIVATE TRAINCTL_BUILD_ID="${TRAINCTL_BUILD_ID}")
target_include_directories(kernels_cuda_emulated PUBLIC ${emulated}/emulation
                           PRIVATE ${translated} lib ${PROJECT_SOURCE_DIR})
target_compile_options(kernels_cuda_emulated PRIVATE -O1 -Wno-unknown-pragmas -Wno-unused-parameter -Wno-maybe-uninitialized)
# As nvcc does, all include the runtime.
if(TRAINCTL_PCH)
  target_precompile_headers(kernels_cuda_emulated PRIVATE ${emulated}/emulation/cuda_runtime.h cmake/standard_headers.h)
else()
  target_compile_options(kernels_cuda_emulated PRIVATE -include ${emulated}/emulation/cuda_runtime.h)
endif()

trainctl_test(kernels_cuda ops)
target_link_libraries(test_kernels_cuda PRIVATE kernels_cuda_emulated test_op_cases)
# What a GPU would not do: accesses of 16 bytes elsewhere than at multiples of 16. And accesses beyond arrays in shared memory.
set(checks -fsanitize=alignment,bounds -fno-sanitize-recover=all)
target_compile_options(kernels_cuda_emulated PRIVATE ${checks})
target_link_options(test_kernels_cuda PRIVATE ${checks})

add_library(emulated_cuda MODULE $<TARGET_OBJECTS:kernels_cuda_emulated>)
set_target_properties(emulated_cuda PROPERTIES PREFIX "" OUTPUT_NAME cuda LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/emulated_cuda)
target_link_libraries(emulated_cuda PRIVATE fmt::fmt)
target_link_options(emulated_cuda PRIVATE ${checks})
