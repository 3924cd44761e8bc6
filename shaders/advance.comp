#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Counter { int counter[]; };

void main()
{
    counter[0] = counter[0] + 1;
}
